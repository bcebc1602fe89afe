"""docs/threat-model.md: each threat has a test, and the test exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_every_threat_names_a_test_that_exists() -> None:
    text = (ROOT / "docs/threat-model.md").read_text()
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| (?!\*\*|threat )", line)]
    assert len(lines) > 25
    assert [cells[0] for cells in lines if len(cells) != 3 or not NAMED.search(cells[2])] == []
    files = {file: ROOT / "tests" / file for file, _ in NAMED.findall(text)}
    assert [
        f"{file}::{test}"
        for file, test in NAMED.findall(text)
        if not files[file].exists() or not re.search(rf"^ *(?:async )?def {test}\(", files[file].read_text(), re.M)
    ] == []
