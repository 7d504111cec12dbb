"""Studies: each is one file to run, and to read from top to bottom."""
