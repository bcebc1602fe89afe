"""Which language somebody wants, of those that there are (BCP 47): `ui_locales`, Accept-Language, and which of ours it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

LONGEST = 500  # characters; nobody reads more languages
_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def of_ui_locales(value: str) -> list[str]:
    """OpenID Connect Core, section 3.1.2.1: tags with spaces between them, the dearest first. What is none is skipped."""
    return [tag for tag in value[:LONGEST].split() if _TAG.fullmatch(tag)]


def of_accept_language(header: str) -> list[str]:
    """RFC 9110, section 12.5.4, the dearest first. What somebody does not want (`q=0`), and `*`, name nothing."""
    weighed = []
    for part in header[:LONGEST].split(","):
        tag, _, parameters = part.partition(";")
        weight = _weight(parameters.strip())
        if weight > 0 and _TAG.fullmatch(tag.strip()):
            weighed.append((weight, tag.strip()))
    return [tag for _, tag in sorted(weighed, key=lambda pair: -pair[0])]  # which keeps the order of equals


def first_known(wanted: Iterable[str], known: Collection[str]) -> str:
    """The first that is known, by itself or without what follows (RFC 4647, section 3.4: `de-AT` is `de`); "": none is."""
    by_case = {tag.lower(): tag for tag in known}
    for tag in wanted:
        parts = tag.lower().split("-")
        for length in range(len(parts), 0, -1):
            if (found := by_case.get("-".join(parts[:length]))) is not None:
                return found
    return ""


def _weight(parameters: str) -> float:
    if not parameters:
        return 1.0
    found = _WEIGHT.fullmatch(parameters)
    return float(found[1]) if found else 0.0
