"""The command line: a file for each group of commands, which reads options and calls the floors below."""

from minicnn.cli.commands import SECTIONS, program
from minicnn.cli.entry import main

__all__ = ["SECTIONS", "main", "program"]
