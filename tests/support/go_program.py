"""Programs in Go, built from their own module at the version that a test names.

Go's checksum database vouches for the module and everything that it needs. What was fetched and compiled stays in Go's own
caches (`go env GOMODCACHE GOCACHE`), so that only the first build of a version on a machine takes its time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BUILDS_WITHIN = 900.0  # seconds; a minute and a half where nothing is cached and two cores are free


def built(module: str, folder: Path) -> Path:
    """The program of `module@version`, in this folder. Skips the test where there is no Go, which only these tests need."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("Go is not installed")
    env = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-buildvcs=false"}
    argv = [go, "install", module]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=BUILDS_WITHIN)
    assert done.returncode == 0, done.stderr[-3000:]
    return next(path for path in folder.iterdir() if os.access(path, os.X_OK) and path.is_file())
