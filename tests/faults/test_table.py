"""docs/faults.md promises tests: they exist."""

from __future__ import annotations

import re

from tests.support.processes import ROOT


def test_every_test_that_the_table_of_faults_names_exists():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/faults.md").read_text()))
    source = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert named - set(re.findall(r"^def (test_\w+)\(", source, re.MULTILINE)) == set()
