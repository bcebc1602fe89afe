"""`##NAME##` and `@@NAME@@`: what the Auth0 Deploy CLI fills in before it reads the file as YAML. For us they are no values."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PLACEHOLDER = re.compile(r"(##|@@)([A-Za-z_][\w.-]*)\1")
_COMMENT = re.compile(r"(^|\s)#")


def problems(text: str) -> list[str]:
    """One sentence for each placeholder, with its line. To YAML `key: ##NAME##` is a key without a value, and `@` a mistake."""
    return [
        f"line {number}: {found} is a placeholder, which the Auth0 Deploy CLI replaces: write what it stands for, or for a "
        f"secret {{env: {name}}}"
        for number, line in enumerate(text.splitlines(), start=1)
        for found, name in _placeholders(line)
    ]


def _placeholders(line: str) -> Iterator[tuple[str, str]]:
    for match in _PLACEHOLDER.finditer(line):
        before = line[: match.start()]
        if before.strip() and not _COMMENT.search(before):  # the rest is a remark that somebody wrote
            yield match[0], match[2]
