"""What is left compiled before a run is what its workers would have made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import collecting

HEAD = 16  # bytes: of what source the rest was made
SOURCE = "def test_sum():\n    found = {}\n    assert found == [1]\n"


def test_a_worker_takes_the_module_that_was_rewritten_before(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    module = tmp_path / "test_it.py"
    module.write_text(SOURCE.format([2]))
    another = collecting.rewrite_once(module, pytestconfig).read_bytes()
    module.write_text(SOURCE.format([3]))
    kept = collecting.rewrite_once(module, pytestconfig)
    assert kept.read_bytes() != another, "what was made of an older source"
    kept.write_bytes(kept.read_bytes()[:HEAD] + another[HEAD:])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(module)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "assert [2] == [1]" in done.stdout, done.stdout
