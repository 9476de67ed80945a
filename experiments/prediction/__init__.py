"""What the study of predictors is made of: tasks, measures of linear and ReLU pairs, findings and rank table."""
