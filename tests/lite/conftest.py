"""The lessons' site, built once with solutions and served to browsers."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import once
from tools import lessons_in_browser


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def lite_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, whose notebooks have their solutions."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node or npm is absent")
    if find_spec("jupyterlite_core") is None:
        pytest.skip("JupyterLite is not installed (extra lite)")

    def built(folder: Path) -> str:
        try:
            lessons_in_browser.build(folder / "site")
        except lessons_in_browser.BrowserError as error:
            return str(error)
        return ""

    folder, said = once(tmp_path_factory, "lite", built)
    if "cannot be downloaded" in said:
        pytest.skip(said)
    assert said == "", said
    return folder / "site"


@pytest.fixture(scope="session")
def address(lite_site: Path) -> Iterator[str]:
    """Where the site is served."""
    with lessons_in_browser.served(lite_site) as at:
        yield at
