"""Commands as click has them, and help texts for arguments and sections of options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import click

__all__ = ["Argument", "Command", "Group"]


class Argument(click.Argument):
    """A positional argument with a help text, which click has since version 8.5."""

    def __init__(self, *args: Any, help: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help = help

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        return self.human_readable_name, self.help or ""


class Command(click.Command):
    """A command whose options are in sections.

    Parameters
    ----------
    sections : mapping of str to collection of str, optional
        The names of options under each title. The others come first.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Collection[str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section_of = {name: title for title, names in (sections or {}).items() for name in names}

    def help_records(self, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
        """Return for each section how each argument or option is written, and its help text."""
        records: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            title = (
                "Arguments" if isinstance(param, click.Argument) else self.section_of.get(param.name or "", "Options")
            )
            if record := param.get_help_record(ctx):
                records.setdefault(title, []).append(record)
        return {title: found for title, found in records.items() if found}

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Leave the arguments to the method below, since click before 8.5 does not know this one."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, records in self.help_records(ctx).items():
            with formatter.section(title):
                formatter.write_dl(records)


class Group(Command, click.Group):
    """A command that has commands, listed in the order in which they are defined."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
