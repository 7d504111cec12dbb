"""The list of commands: what it imports and when, help, completion in a shell."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from minicnn import cli, models
from minicnn.cli import layout
from minicnn.models.alexnets import VARIANTS
from minicnn.models.network import ACTIVATIONS
from minicnn.training.recipe import CHOICES

ROOT = Path(__file__).parents[2]
COMMANDS = [name for section in cli.SECTIONS for name in section.commands]
# Each takes part of a second, or is absent where the doctor must run.
HEAVY = {"PIL", "matplotlib", "numba", "packaging", "safetensors", "tqdm", "urllib.request"}


def contexts(parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield a context for each command, and for each command below it."""
    root = parent or click.Context(cli.program, info_name="minicnn", **cli.program.context_settings)
    assert isinstance(root.command, click.Group)
    for name in root.command.list_commands(root):
        command = root.command.get_command(root, name)
        assert command is not None and command.name == name
        context = click.Context(command, root, name)
        yield context
        if isinstance(command, click.Group):
            yield from contexts(context)


def test_the_list_has_every_command_and_no_other() -> None:
    names = [context.command.name for context in contexts() if context.parent and context.parent.parent is None]
    assert names == COMMANDS
    assert len(set(names)) == len(names) == 17
    defined = {section.module for section in cli.SECTIONS}
    for path in (ROOT / "minicnn" / "cli").glob("*.py"):
        assert ("@click.command" in path.read_text(encoding="utf-8")) == (path.stem in defined), path


def test_help_lists_the_commands_by_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for section in cli.SECTIONS:
        start = lines.index(f"{section.title}:")
        listed = [line.split(maxsplit=1) for line in lines[start + 1 : start + 1 + len(section.commands)]]
        assert listed == [[name, text] for name, text in section.commands.items()]  # each on a line of its own


@pytest.mark.parametrize("context", list(contexts()), ids=lambda context: context.command_path)
def test_every_option_and_argument_has_help(context: click.Context) -> None:
    assert isinstance(context.command, layout.Command)
    assert context.command.help
    found = context.get_help()
    for records in context.command.help_records(context).values():
        for signature, text in records:
            assert signature.split()[0] in found and text
    assert set(context.command.section_of) <= {param.name for param in context.command.params}


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_there_is_help_for_a_command_below_a_command(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "file", "features", option]) == 0
    assert "IMAGE  JPEG, PNG or WebP file" in capsys.readouterr().out
    assert cli.main(["show", option]) == 0
    printed = capsys.readouterr().out
    assert "CHECKPOINT  File that train" in printed
    places = [printed.index(f"\n  {name} ") for name in ("filters", "features", "saliency", "confusion")]
    assert places == sorted(places)


@pytest.mark.parametrize("line", ["", "--help", "--version", "doctor --help", "summary lenet5"])
def test_heavy_libraries_are_imported_when_they_are_needed(line: str) -> None:
    program = f"""
import sys
from minicnn import cli
cli.main({line.split()!r})
print(*sorted(set(sys.modules) & {HEAVY!r}))
print(*sorted(name for name in sys.modules if name.startswith("minicnn.cli.")))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    *_, heavy, ours = done.stdout.splitlines()
    assert heavy == ""
    always = {f"minicnn.cli.{name}" for name in ("commands", "entry", "layout")}
    used = {"doctor --help": {"machine", "options"}, "summary lenet5": {"looking", "options"}}.get(line, set())
    assert set(ours.split()) == always | {f"minicnn.cli.{name}" for name in used}


# --- choices --------------------------------------------------------------------------------------------------------


def choices(command: str, name: str) -> list[str]:
    (context,) = (context for context in contexts() if context.command.name == command)
    (kind,) = (param.type for param in context.command.params if param.name == name)
    assert isinstance(kind, click.Choice)
    return list(kind.choices)


def test_choices_are_those_of_the_models_and_the_recipe() -> None:
    networks = [name.replace("_", "-") for name in models.MODELS]
    for command in ("train", "summary", "draw"):
        assert choices(command, "network") == networks
        assert choices(command, "variant") == list(VARIANTS)
    assert choices("train", "activation") == list(ACTIVATIONS)
    for name, accepted in CHOICES.items():
        assert choices("train", name) == list(accepted)


@pytest.mark.parametrize(
    ("name", "model", "argument"),
    [("depth", "alexnet_cifar", "depth"), ("init", "four_layer", "init"), ("activation", "lenet5", "activation")],
)
def test_a_model_accepts_every_choice_and_no_other(name: str, model: str, argument: str) -> None:
    for choice in choices("train", name):
        value = int(choice) if choice.isdecimal() else choice
        assert models.build({"model": model, argument: value}).config[argument] == value
    with pytest.raises(ValueError, match=f"one of {', '.join(choices('train', name))}"):
        models.build({"model": model, argument: "something else"})


# --- completion -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "begun", "found"),
    [
        ("", "tr", ["train"]),
        ("", "e", ["evaluate", "export-onnx"]),
        ("train", "al", ["alexnet", "alexnet-cifar"]),
        ("train alexnet --variant", "m", ["merged"]),
        ("train", "--in", ["--in-size", "--init", "--inputs"]),
        ("relu-vs-tanh --data", "", ["cifar10", "shapes"]),
        ("show file", "f", ["features", "filters"]),
    ],
)
def test_completion_knows_commands_options_and_choices(words: str, begun: str, found: list[str]) -> None:
    completion = ShellComplete(cli.program, {}, "minicnn", "_MINICNN_COMPLETE")
    assert sorted(item.value for item in completion.get_completions(words.split(), begun)) == found


@pytest.mark.parametrize(("shell", "place"), [("bash", "1"), ("zsh", "1"), ("fish", "tr")])
def test_completion_answers_each_shell(
    shell: str, place: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_WORDS", "minicnn tr")
    monkeypatch.setenv("COMP_CWORD", place)
    monkeypatch.setenv("_MINICNN_COMPLETE", f"{shell}_complete")
    assert cli.main([]) == 0
    answer = capfd.readouterr().out
    assert "train" in answer and "evaluate" not in answer


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_page_has_the_line_for_each_shell(
    shell: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "guide" / "command-line.md").read_text(encoding="utf-8")
    assert f"_MINICNN_COMPLETE={shell}_source minicnn" in page
    monkeypatch.setenv("_MINICNN_COMPLETE", f"{shell}_source")
    assert cli.main([]) == 0
    assert f"_MINICNN_COMPLETE={shell}_complete" in capfd.readouterr().out
