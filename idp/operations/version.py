"""Which release of Curfew this is. The number is in `pyproject.toml`, from which a wheel has it in its metadata."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def version() -> str:
    """Of a checkout or an image by its file, else of what is installed."""
    if PROJECT.is_file():
        return str(tomllib.loads(PROJECT.read_text())["project"]["version"])
    return importlib.metadata.version("curfew")
