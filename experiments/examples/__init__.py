"""Networks and tasks of one's own, worked out: what network.custom and task.custom may name."""
