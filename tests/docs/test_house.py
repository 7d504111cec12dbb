"""The page on the house: its floors are import-linter's, and its walks pass through code that exists."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
sys.path.append(str(ROOT / "tools"))
import draw_house  # noqa: E402  # after its folder is on the path

PLACES = sorted(set(re.findall(r"`([\w/]+\.py):([\w.]+)`", PAGE)))


def test_the_picture_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "draw_house.py"), "--check"]
    assert subprocess.run(command).returncode == 0, "python tools/draw_house.py draws it again"


@pytest.mark.parametrize("page", ["docs/house.md", "README.md"])
def test_the_floors_are_those_of_import_linter(page: str) -> None:
    rows = re.findall(r"^\| (\d) \| ([^|]*) \|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    said = {
        int(floor): {re.sub(r"\.py$|/$", "", name) for name in re.findall(r"`([^`]*)`", cell)} for floor, cell in rows
    }
    assert said == {floor: set(names) for floor, names in enumerate(draw_house.floors())}


def test_every_top_level_name_has_a_floor() -> None:
    have = {
        path.stem for path in (ROOT / "minicnn").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert have - {"__init__", "__main__", "_version"} == {name for names in draw_house.floors() for name in names}


@pytest.mark.parametrize(("file", "name"), PLACES, ids=":".join)
def test_what_the_walks_pass_through_exists(file: str, name: str) -> None:
    body = ast.parse((ROOT / "minicnn" / file).read_text(encoding="utf-8")).body
    for part in name.split("."):
        found = [node for node in body if getattr(node, "name", None) == part]
        assert found, f"{file} has no {part}"
        body = getattr(found[0], "body", [])


def test_there_are_two_walks() -> None:
    assert len(PLACES) > 20 and PAGE.count("\n### A ") == 2
