"""The lessons' pages lead to the lessons in the browser if these have been built, and say nothing of them otherwise."""

import subprocess
import sys
from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).parents[2] / "docs" / "_extensions"


@pytest.mark.slow
def test_a_lessons_page_leads_to_the_lesson_once_the_site_is_there(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="Sphinx is not installed (extra docs)")
    source, out = tmp_path / "docs", tmp_path / "html"
    (source / "lessons").mkdir(parents=True)
    (source / "conf.py").write_text(f"import sys\nsys.path.append({str(EXTENSIONS)!r})\nextensions=['open_in_browser']")
    (source / "index.rst").write_text("Front\n=====\n\n.. toctree::\n\n   lessons/01_one\n")
    (source / "lessons" / "01_one.rst").write_text("One\n===\n\nText.\n")

    def links() -> list[bool]:
        subprocess.run([sys.executable, "-m", "sphinx", "-q", "-W", source, out], check=True, timeout=120)
        return [
            "Open in the browser" in (out / page).read_text("utf-8") for page in ("index.html", "lessons/01_one.html")
        ]

    assert links() == [False, False]
    (out / "lite" / "notebooks").mkdir(parents=True)
    (out / "lite" / "index.html").touch()
    assert links() == [False, True]
    page = (out / "lessons" / "01_one.html").read_text("utf-8")
    assert '</h1><p class="open-in-browser"><a href="../lite/notebooks/index.html?path=01_one.ipynb">' in page.replace(
        "</h1>\n", "</h1>"
    )
