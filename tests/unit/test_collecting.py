"""What is left compiled before a run is what its workers would have made."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import collecting

ROOT = Path(__file__).parents[2]
FAILS = "def test_sum():\n    words = ['one', 'two']\n    assert words == ['one']\n"


def test_pytest_takes_what_was_rewritten_before(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    module = tmp_path / "test_it.py"
    module.write_text(FAILS.replace("'one']\n    assert", "'two']\n    assert"))
    kept = collecting.rewrite_once(module, pytestconfig)
    code = kept.read_bytes()[16:]
    module.write_text(FAILS)
    kept.write_bytes(collecting.rewrite_once(module, pytestconfig).read_bytes()[:16] + code)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(module)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "assert ['two', 'two'] == ['one']" in done.stdout, done.stdout
