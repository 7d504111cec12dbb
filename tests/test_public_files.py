"""What a stranger meets first: citation, changelog, templates, workflows and hooks agree with the project."""

import configparser
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import minicnn

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def read(path: Path) -> dict[Any, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def steps(job: dict[str, Any]) -> list[dict[str, Any]]:
    return list(job["steps"])


def test_the_citation_has_the_version() -> None:
    citation = read(ROOT / "CITATION.cff")
    assert citation["version"] == minicnn.__version__
    assert citation["license"] == "MIT"
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_the_changelog_speaks_of_the_version_and_of_what_comes_next() -> None:
    changelog = text("CHANGELOG.md")
    assert changelog.index("## [Unreleased]") < changelog.index(minicnn.__version__)


def test_no_file_has_an_address_of_its_own() -> None:
    """An invented one stood in fifteen places. A real one will stand in setup.cfg alone."""
    kinds = (".md", ".py", ".cff", ".yml", ".ipynb", ".toml")
    folders = ("minicnn", "docs", "examples", "notebooks", "benchmarks", "tools", ".github")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in kinds]
    files += [path for path in ROOT.glob("*") if path.suffix in kinds]
    assert len(files) > 200
    found = [path for path in files if re.search(r"github(\.com)?/minicnn|colab\.research", path.read_text("utf-8"))]
    assert found == []


def test_contributing_repeats_the_readmes_commands() -> None:
    (tests,) = re.findall(r"<!-- ci: tests -->\n```bash\n(.*)\n```", text("README.md"))
    install, run = tests.split(" && ")
    contributing = text("CONTRIBUTING.md")
    assert f"\n{install}\n" in contributing and f"\n{run}\n" in contributing


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_rights_and_no_secrets(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in path.read_text(encoding="utf-8")
    for name, job in workflow["jobs"].items():
        if "uses" not in job:
            assert job["timeout-minutes"] <= 60, name


def test_the_workflow_tests_each_python_that_setup_cfg_names_on_each_system() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    named = re.findall(r"Python :: (3\.\d+)$", setup["metadata"]["classifiers"], re.MULTILINE)
    jobs = read(ROOT / ".github/workflows/tests.yml")["jobs"]
    matrix = jobs["quick"]["strategy"]["matrix"]
    assert matrix["python"] == named
    assert setup["options"]["python_requires"] == f">={named[0]}"
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert any(".ci/readme tests" in step.get("run", "") for step in steps(jobs["quick"]))
    assert any(step.get("run") == ".ci/run" for step in steps(jobs["everything"]))


def test_a_release_is_tested_built_checked_and_published_without_a_token() -> None:
    workflow = read(ROOT / ".github/workflows/release.yml")
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # YAML reads "on" as true
    jobs = workflow["jobs"]
    assert jobs["tests"]["uses"] == "./.github/workflows/tests.yml"
    run = [step["run"] for step in steps(jobs["build"]) if "run" in step]
    assert run[-2:] == ["python -m build", "python -m twine check --strict dist/*"]
    assert jobs["publish"]["needs"] == ["tests", "build"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert steps(jobs["publish"])[-1] == {"uses": "pypa/gh-action-pypi-publish@release/v1"}


def test_the_release_reads_the_version_from_its_file() -> None:
    (tag,) = (
        step["run"]
        for step in steps(read(ROOT / ".github/workflows/release.yml")["jobs"]["build"])
        if "GITHUB_REF_NAME" in step.get("run", "")
    )
    for name, status in ((f"v{minicnn.__version__}", 0), ("v9.9.9", 1)):
        environment = os.environ | {"GITHUB_REF_NAME": name}
        done = subprocess.run(["bash", "-e", "-c", tag], cwd=ROOT, env=environment)
        assert done.returncode == status


def test_the_hooks_are_checks_that_ci_makes_too() -> None:
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    commands = [" ".join(word for word in hook["entry"].split() if word[0] != "-") for hook in repository["hooks"]]
    assert commands == ["ruff check", "ruff format", "mypy"]
    ci = text(".ci/run")
    assert all(f'step "{command}' in ci for command in commands)


@pytest.mark.parametrize("name", ["bug", "idea"])
def test_a_template_asks_for_something(name: str) -> None:
    template = read(ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml")
    assert template["name"] and template["description"]
    identifiers = [part["id"] for part in template["body"]]
    assert len(identifiers) == len(set(identifiers)) >= 2
    assert any(part.get("validations", {}).get("required") for part in template["body"])


def test_the_readmes_commands_are_found() -> None:
    for name, begin in (("tests", "python -m pip"), ("main-job", "python -m pip"), ("first-network", "minicnn train")):
        done = subprocess.run(["bash", ".ci/readme", name], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(begin)
    assert subprocess.run(["bash", ".ci/readme", "nothing"], cwd=ROOT, capture_output=True).returncode != 0
