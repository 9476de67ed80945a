"""From a command to files: what runs a study, and knows none."""
