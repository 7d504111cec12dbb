"""Directives that generate pages from minicnn itself in every build, so that pages and program cannot drift apart.

``{command-line}``
    every command with its options, as the program's help has them.
``{summary} alexnet``
    a network's shapes, parameters and multiply-adds, for the layers that have any or change the shape.
``{picture} draw alexnet``
    the picture that a command draws; the directive's content is the caption.
``{walk-page} A star walks through a network``
    the page that the commands in its content write, embedded under this title, and the commands. Only minicnn's own
    commands are run. Without a connection to npm, `minicnn live` ends with an error after writing its page, which then
    says what is missing.
``{contents} minicnn.nn``
    the public names of a module, with a line for each.
``{from-pytorch}``
    every public name beside PyTorch's, from docs/_data/from_pytorch.csv, which tools/compare_with_pytorch.py writes.
``{museum}``
    every exhibit: its story, the wrong code, and what the check says.
"""

import contextlib
import csv
import html
import importlib
import inspect
import io
import itertools
import os
import re
import shutil
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from minicnn import cli, use_kernels, viz
from minicnn.cli.layout import Command
from minicnn.lessons.museum import MUSEUM
from minicnn.model_summary import summary_of_config

# Exported by minicnn, but documented on the page of the module that defines it.
DESCRIBED = {"minicnn.trace": "~tracing.trace", "minicnn.step_through": "~viz.step_through"}
ROOT = Path(__file__).parents[2]
WALK_PAGES = "walks"  # their folder, among the doctrees and in the site


def fenced(text: str, language: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


def run(line: str) -> str:
    """Run a command of minicnn, in this process, and return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        status = cli.main(line.split())
    if status:
        raise RuntimeError(f"minicnn {line} ends with status {status}: {printed.getvalue()}")
    return printed.getvalue()


class Generated(SphinxDirective):
    """A directive that writes Markdown."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(__file__)
        return self.parse_text_to_nodes("\n".join(self.markdown()), allow_section_headings=True)

    def markdown(self) -> Iterator[str]:
        raise NotImplementedError


class SummaryTable(Generated):
    def markdown(self) -> Iterator[str]:
        found = summary_of_config({"model": self.arguments[0].replace("-", "_")})
        yield ":::{table}\n:class: summary\n"
        yield "| layer | what it is, and how its size comes about | output | parameters | multiply-adds |"
        yield "|---|---|---|--:|--:|"
        for row in found.rows:
            if row.parameters or row.output_shape != row.input_shape:
                output = "x".join(map(str, row.output_shape[1:]))
                what = "<br>".join(escaped(text) for text in (row.what, row.arithmetic) if text)
                yield f"| {row.name} | {what} | {output} | {number(row.parameters)} | {number(row.macs)} |"
        parameters, macs = (sum(getattr(row, name) for row in found.rows) for name in ("parameters", "macs"))
        yield f"| **total** | | | **{number(parameters)}** | **{number(macs)}** |"
        yield ":::"


def number(count: int) -> str:
    return f"{count:,}" if count else ""


class Picture(SphinxDirective):
    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {"alt": str, "name": str}

    def run(self) -> list[nodes.Node]:
        line = self.arguments[0]
        folder = Path(self.env.app.doctreedir) / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{line.replace(' ', '-')}.svg"
        run(f"{line} --out {path}")
        here = Path(self.env.doc2path(self.env.docname)).parent
        image = nodes.image(uri=os.path.relpath(path, here), alt=self.options.get("alt", line))
        figure = nodes.figure("", image)
        if self.content:
            caption = nodes.caption("", "", *self.parse_inline(" ".join(self.content))[0])
            figure += caption
        return [figure]


class WalkPage(SphinxDirective):
    """Runs its commands in a folder with copies of the pictures that they name, as in a clone of the repository."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        here = Path(viz.__file__).parent
        for path in (Path(__file__), *here.glob("walk_page.*"), *here.glob("live_page.*")):
            self.env.note_dependency(str(path))
        *before, last = (line for line in self.content if line.startswith("minicnn "))
        page = Path(last.split()[-1])
        folder = Path(self.env.app.doctreedir) / WALK_PAGES / page.stem
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.chdir(folder):
            for picture in re.findall(r"docs/\S+\.png", last):
                Path(picture).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / picture, picture)
            if not page.exists():  # training takes a while, and gives the same result
                for line in before:
                    run(line.removeprefix("minicnn "))
            try:
                run(last.removeprefix("minicnn "))
            except RuntimeError as error:
                if "registry.npmjs.org" not in str(error):
                    raise
                logging.getLogger(__name__).info(str(error))
        address = "../" * self.env.docname.count("/") + f"{WALK_PAGES}/{page.name}"
        title = html.escape(self.arguments[0])
        frame = f'<iframe class="walk-page" src="{address}" title="{title}" loading="lazy"></iframe>'
        alone = f'<p class="walk-page"><a href="{address}">The same on a page of its own</a></p>'
        commands = "\n".join(self.content)
        return [nodes.raw("", frame + alone, format="html"), nodes.literal_block(commands, commands, language="bash")]


def copy_walk_pages(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for file in Path(app.doctreedir, WALK_PAGES).glob("*/*.*"):
            folder = Path(app.outdir, WALK_PAGES)
            folder.mkdir(exist_ok=True)
            shutil.copy(file, folder)


class CommandLine(Generated):
    def markdown(self) -> Iterator[str]:
        root = click.Context(cli.program, info_name="minicnn", **cli.program.context_settings)
        for section in cli.SECTIONS:
            yield f"## {section.title}\n"
            for name in section.commands:
                yield from command_page(root, name)


def command_page(parent: click.Context, name: str) -> Iterator[str]:
    """Yield what a command's help says, and that of the commands below it."""
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert isinstance(command, Command)
    context = click.Context(command, parent, name, terminal_width=76)
    path = context.command_path
    yield f"({path.replace(' ', '-')})=\n### {path}\n"
    yield escaped(inspect.cleandoc(command.help or "")) + "\n"
    yield fenced(context.get_usage().removeprefix("Usage: "), "text")
    yield f"```{{program}} {path}\n```\n"
    for title, records in command.help_records(context).items():
        if title not in ("Arguments", "Options"):
            yield f"**{title}**\n"
        for signature, text in records:
            if not signature.endswith("--help"):
                yield fenced(escaped(text), f"{{option}} {signature.replace(' / ', ', ')}")
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from command_page(context, each)


def escaped(text: str) -> str:
    """Keep Markdown from reading anything into a help text; names of files and options become code."""
    text = re.sub(r"([*_<>\[\]`])", r"\\\1", text)
    return re.sub(r"(?<![\w/])((?:FOLDER|runs)/[\w/\\*.-]*\w|--[a-z-]+)", lambda found: code(found[1]), text)


def code(text: str) -> str:
    return "`" + text.replace("\\", "") + "`"


class Contents(Generated):
    def markdown(self) -> Iterator[str]:
        module = importlib.import_module(self.arguments[0])
        here = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
        names = getattr(module, "__all__", [name for name in here if not name.startswith("_")])
        things = {name: getattr(module, name) for name in names}
        names = [name for name, thing in things.items() if callable(thing) and thing.__module__ != "numpy"]  # dtypes
        listed = [f"   {DESCRIBED.get(f'{module.__name__}.{name}', name)}" for name in names]
        start = [f".. currentmodule:: {module.__name__}", ""]
        yield fenced("\n".join([*start, ".. autosummary::", "   :nosignatures:", "", *listed]), "{eval-rst}")


class FromPyTorch(Generated):
    def markdown(self) -> Iterator[str]:
        table = ROOT / "docs" / "_data" / "from_pytorch.csv"
        self.env.note_dependency(str(table))
        with table.open(encoding="utf-8", newline="") as file:
            for section, rows in itertools.groupby(csv.DictReader(file), key=lambda row: row["section"]):
                yield f"### {section}\n"
                yield "| minicnn | PyTorch | | |"
                yield "|---|---|---|---|"
                for row in rows:
                    theirs = f"`{row['pytorch']}`" if row["pytorch"] else ""
                    yield f"| `{row['name']}` | {theirs} | {row['verdict']} | {row['notes']} |"
                yield ""


class Museum(Generated):
    def markdown(self) -> Iterator[str]:
        for exhibit in MUSEUM:
            broken, correct = type(exhibit.broken()), type(exhibit.correct())
            yield f"## {exhibit.name}\n"
            for paragraph in exhibit.story.split("\n\n"):
                text = escaped(" ".join(paragraph.split()))
                yield re.sub(r"\\\*(\w+)\\\*", r"*\1*", text) + "\n"  # emphasis is meant
            yield fenced(body(broken), "python")
            yield f"The right one is `{correct.__module__}.{correct.__name__}`. What the check says of this one:\n"
            with use_kernels("numpy"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                lines = exhibit.complaint(exhibit.broken).splitlines()
            yield fenced("\n".join(textwrap.fill(line, 76, subsequent_indent="    ") for line in lines), "text")


def body(kind: type) -> str:
    """Return a class's source without its docstring, which is shown as text."""
    source = inspect.getsource(kind)
    return re.sub(r'    """.*?"""\n\n?', "", source, count=1, flags=re.DOTALL)


def plain(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape what reStructuredText would misread in a docstring.

    A shape such as (N, C, *) does not begin emphasis, |x| is not a substitution, and an underlined word in a module's
    docstring is not a section: numpydoc handles these in functions and classes only.
    """
    text = "\n".join(lines)
    text = re.sub(r"(?<=[ (])\*(?=[,)])", r"\\*", text)
    text = re.sub(r"\|(?=\w)(?=[^|\n]*\|)", r"\\|", text)
    if what == "module":
        text = re.sub(r"^(\w+)\n-+$", r".. rubric:: \1\n", text, flags=re.MULTILINE)
    lines[:] = text.split("\n")


def without_fields(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Skip the fields of a NamedTuple: the class's docstring describes them, and their own call each an alias."""
    return True if inspect.isdatadescriptor(obj) and (obj.__doc__ or "").startswith("Alias for field") else None


def links_back(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Mend the links from a page of source code back to the documentation.

    Sphinx takes all functions of a file for members of one public module. Ours are in two: ``minicnn.permute`` and
    ``minicnn.functional.pad`` come from one file.
    """
    if not page.startswith("_modules/"):
        return
    documented: dict[tuple[str, str], str] = {}
    for name, entry in app.env.get_domain("py").objects.items():
        documented[entry.docname, name] = name
        documented.setdefault((entry.docname, name.rpartition(".")[2]), name)

    def mended(found: re.Match[str]) -> str:
        document, name = found[2].removesuffix(".html"), found[3]
        place = documented.get((document, name)) or documented.get((document, name.rpartition(".")[2]), name)
        return f"{found[1]}{found[2]}#{place}"

    context["body"] = re.sub(r'(class="viewcode-back" href="(?:\.\./)*)([^"#]*)#([^"]*)', mended, context["body"])


def setup(app: Any) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", plain, priority=400)  # before numpydoc
    app.connect("autodoc-skip-member", without_fields)
    app.connect("html-page-context", links_back)
    app.add_directive("summary", SummaryTable)
    app.add_directive("picture", Picture)
    app.add_directive("walk-page", WalkPage)
    app.connect("build-finished", copy_walk_pages)
    app.add_directive("command-line", CommandLine)
    app.add_directive("contents", Contents)
    app.add_directive("from-pytorch", FromPyTorch)
    app.add_directive("museum", Museum)
    return {"parallel_read_safe": True}
