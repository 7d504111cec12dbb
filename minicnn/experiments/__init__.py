"""Studies: each is one file that can be run, and read from top to bottom."""
