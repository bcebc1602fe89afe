"""Translations as gettext reads them, made of `locale/*/LC_MESSAGES/django.po` by the first process that needs them.

The folder's name is a digest of what it is made of: it is never out of date, and two releases may share one data folder.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

CATALOGUE = Path("LC_MESSAGES") / "django.po"


def sources(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*/{CATALOGUE}"))


def compiled_folder(folder: Path, data: Path) -> Path:
    digest = hashlib.sha256()
    for source in sources(folder):
        digest.update(f"{source.parts[-3]}\0".encode() + source.read_bytes() + b"\0")
    return data / "locale" / digest.hexdigest()[:16]


def compile_all(folder: Path, to: Path) -> None:
    for source in sources(folder):
        target = (to / source.relative_to(folder)).with_suffix(".mo")
        if not target.exists():
            _compile(source, target)


def _compile(source: Path, target: Path) -> None:
    """Processes that come at the same time write the same; each puts its own copy in place as a whole."""
    from babel.messages.mofile import write_mo  # not for the processes that find it done
    from babel.messages.pofile import read_po

    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(f".{os.getpid()}")
    with source.open("rb") as read, unfinished.open("wb") as written:
        write_mo(written, read_po(read))
    unfinished.replace(target)
