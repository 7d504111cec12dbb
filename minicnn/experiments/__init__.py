"""Studies: each is one file to run, and to read from top to bottom."""

import minicnn.viz.any_backend  # noqa: F401  # before anything else imports matplotlib
