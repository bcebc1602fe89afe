"""Which registered address somebody probably meant, and what is different about the one that came, in words."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher
from urllib.parse import SplitResult, urlsplit

PARTS = ("scheme", "host", "port", "path", "query")


def nearest(uri: str, registered: Iterable[str]) -> str:
    """The most similar one; "" where there is none."""
    return max(registered, key=lambda known: _likeness(uri, known), default="")


def difference(uri: str, known: str) -> str:
    """What has to be changed for `uri` to be `known`, in a few words."""
    if uri == known:
        return ""
    if uri.rstrip("/") == known.rstrip("/"):
        return "the slash at the end"
    if uri.lower() == known.lower():
        return "capital letters"
    theirs, ours = _split(uri), _split(known)
    if theirs is None or ours is None:
        return "it is no address"
    differing = [name for name in PARTS if _part(theirs, name) != _part(ours, name)]
    if differing == ["scheme"]:
        return f"{theirs.scheme or 'no scheme'} instead of {ours.scheme}"
    return ", ".join(differing) or "its spelling"


def _likeness(uri: str, known: str) -> tuple[int, float]:
    """The same host counts more than any likeness of letters."""
    theirs, ours = _split(uri), _split(known)
    same_host = theirs is not None and ours is not None and theirs.hostname == ours.hostname
    return int(same_host), SequenceMatcher(None, uri[:500].lower(), known[:500].lower(), autojunk=False).ratio()


def _part(parts: SplitResult, name: str) -> object:
    if name == "path":
        return parts.path.rstrip("/")
    return getattr(parts, "hostname" if name == "host" else name)


def _split(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts
