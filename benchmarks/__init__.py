"""Measurements of speed, one cost per file, against what one would use instead; see README.md."""
