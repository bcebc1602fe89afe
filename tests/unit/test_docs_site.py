"""The documentation as a site: built with every warning an error, its links and its words looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import site as sites

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    quicker = "import gc, sys; gc.disable(); from sphinx.cmd.build import main; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", quicker, "--fail-on-warning", "--keep-going", "-q", "-b", "html"]
    ran = subprocess.run(
        [*argv, "-d", str(folder / "doctrees"), str(ROOT / "docs"), str(folder / "html")],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    return folder / "html"


def test_every_document_is_a_page_whose_links_and_words_are_good(built: Path) -> None:
    assert sites.problems(built) == []
    made = {path.relative_to(built).with_suffix("").as_posix() for path in built.rglob("*.html")}
    documents = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert documents <= made


def test_the_navigation_has_the_four_kinds_of_documents_and_every_decision(built: Path) -> None:
    start, decisions = (built / "index.html").read_text(), (built / "adr/README.html").read_text()
    for caption in ("Tutorials", "How-to guides", "Reference", "Explanation"):
        assert f'<span class="caption-text">{caption}</span>' in start
    for path in (ROOT / "docs/adr").glob("0*.md"):
        assert f'href="{path.stem}.html"' in decisions


PAGE = '<article id="top"><h2 id="here">Sessions</h2><p>{}</p></article>'


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("People are seperately told.", "page: seperately"),
        ('<a href="other.html">away</a>', "page: other.html (no such file)"),
        ('<a href="#nowhere">away</a>', "page: #nowhere (no such anchor)"),
        ('<a href="http://example.com/">away</a>', "page: http://example.com/ (not a well-formed https address)"),
        ('<a href="https://exa mple.com/">away</a>', "page: https://exa mple.com/ (not a well-formed https address)"),
        ('<img src="gone.png">', "page: gone.png (no such file)"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, said: str, problem: str) -> None:
    (tmp_path / "page.html").write_text(PAGE.format(said))
    found = sites.pages(tmp_path)
    assert [*sites.broken_links(tmp_path, found), *sites.unknown_words(found, set())] == [problem]


def test_code_and_what_the_list_knows_are_no_mistakes_and_a_word_that_nobody_needs_is(tmp_path: Path) -> None:
    said = (
        '<a href="#here">Keycloak</a> is told by <code>seperately</code>, at <a href="https://example.com/">home</a>.'
    )
    (tmp_path / "page.html").write_text(PAGE.format(said))
    found = sites.pages(tmp_path)
    assert sites.broken_links(tmp_path, found) == []
    assert sites.unknown_words(found, {"Keycloak"}) == []
    assert sites.unused_words(found, {"Keycloak", "Hydra", "home"}) == ["Hydra", "home"]
