"""Advice on real data: reading a pilot from a file, and tasks whose data and pretrained models come in packages."""
