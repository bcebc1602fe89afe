"""The documentation as a site (`make docs`): Sphinx reads the Markdown files as they are, by MyST.

Files link to each other as on a forge, by relative paths. Two things are done to their text before it is read: what is at the
root of the source has its page in `project/`, and a link to a file that is no page becomes that file's path.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path, PurePosixPath

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]

project = "Curfew"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
author = "the authors of Curfew"
project_copyright = author
extensions = ["myst_parser"]
root_doc = "index"
exclude_patterns = ["images"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"Curfew {release}"
html_show_sphinx = False
html_static_path: list[str] = []
html_theme_options = {"navigation_with_keys": False}
pygments_style = "friendly"
pygments_dark_style = "monokai"
suppress_warnings = ["misc.highlighting_failure"]  # examples leave out what does not matter

# Pages whose text is a file elsewhere in the source.
PROJECT = {
    "project/architecture": "ARCHITECTURE.md",
    "project/changelog": "CHANGELOG.md",
    "project/contributing": "CONTRIBUTING.md",
    "project/examples": "examples/README.md",
    "project/kubernetes": "examples/kubernetes/README.md",
    "project/security": "SECURITY.md",
}
CODE = r"^ *```.*?^ *```|``.*?``|`[^`\n]*`"
LINK = re.compile(
    rf"{CODE}|(?P<image>!?)\[(?P<text>(?:[^\[\]`]|`[^`\n]*`|\[[^\[\]]*\])*)\]\((?P<path>[^)\s#]*)(?P<anchor>#[^)\s]*)?\)",
    re.MULTILINE | re.DOTALL,
)
DECISIONS = "\n```{toctree}\n:hidden:\n:glob:\n\n0*\n```\n"


def setup(app: Sphinx) -> None:
    app.connect("source-read", _read)


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    file = PROJECT.get(docname, f"docs/{docname}.md")
    text = (ROOT / file).read_text() if docname in PROJECT else source[0]
    if docname in PROJECT:
        app.env.note_dependency(str(ROOT / file), docname=docname)
    source[0] = _relink(text, PurePosixPath(file).parent, PurePosixPath(docname).parent)
    if docname == "adr/README":
        source[0] += DECISIONS


def _relink(text: str, folder: PurePosixPath, at: PurePosixPath) -> str:
    """`folder`: where the file is in the source, `at`: where its page is in the site."""
    return LINK.sub(lambda found: _link(found, folder, at), text)


def _link(found: re.Match[str], folder: PurePosixPath, at: PurePosixPath) -> str:
    path = found["path"]  # None of code
    if not path or re.match(r"[a-z][a-z0-9+.-]*:", path):
        return found[0]
    file = os.path.normpath(folder / path)
    page = _page(file)
    if page is None:
        text = found["text"]
        return text if file in text else f"{text} (`{file}`)"
    return f"{found['image']}[{found['text']}]({os.path.relpath(page, at)}{found['anchor'] or ''})"


def _page(file: str) -> str | None:
    """Where a file of the source is in the site, from its root; None if it is not."""
    for name, source in PROJECT.items():
        if file in (source, str(PurePosixPath(source).parent)) and file != ".":
            return f"{name}.md"
    if not file.startswith("docs/"):
        return None
    inside = file.removeprefix("docs/")
    return f"{inside}/README.md" if (ROOT / file).is_dir() else inside
