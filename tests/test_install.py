"""Installation commands: right for where minicnn is, and from one place."""

import re
from pathlib import Path

import pytest

import minicnn
from minicnn import install

PACKAGE = Path(minicnn.__file__).parent


def test_a_clone_installs_itself() -> None:
    assert install.install_command() == "python -m pip install -e ."
    assert install.install_command("cuda12") == "python -m pip install -e '.[cuda12]'"


def test_elsewhere_the_distribution_is_installed_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "_CHECKOUT", tmp_path)
    assert install.install_command() == "python -m pip install minicnn-alexnet"
    assert install.install_command("cuda12") == "python -m pip install 'minicnn-alexnet[cuda12]'"


def test_a_shell_redirects_nothing() -> None:
    assert install.pip_install("--upgrade", "numpy>=2.0") == "python -m pip install --upgrade 'numpy>=2.0'"


def test_no_other_file_writes_an_installation_command() -> None:
    """``minicnn`` on PyPI is another project, so a hint that somebody spells out may install a stranger's package."""
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".ipynb", ".html", ".js", ".cu")]
    assert len(files) > 100
    spelled_out = [
        path.relative_to(PACKAGE).as_posix()
        for path in files
        if path != Path(install.__file__) and re.search(r"pip3? install|minicnn\[", path.read_text(encoding="utf-8"))
    ]
    assert spelled_out == []


def test_setup_cfg_gives_the_distribution_that_name() -> None:
    assert f"\nname = {install.DISTRIBUTION}\n" in (PACKAGE.parent / "setup.cfg").read_text(encoding="utf-8")
