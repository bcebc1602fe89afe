"""What Entra writes beside the grammar of RFC 7644, in its words. Pure."""

from __future__ import annotations

import re
from typing import Any

_TEXT = r'"(?:[^"\\]|\\.)*"'
# emails[type eq "work"].value eq "x": a sub-attribute of a selection is compared, which the grammar has in PATCH paths only.
_COMPARED_SELECTION = re.compile(
    rf'(?P<text>{_TEXT})|(?P<attribute>[A-Za-z][\w$:.-]*)\[(?P<condition>(?:[^\]"]|{_TEXT})*)\]'
    rf"\.(?P<sub>[A-Za-z][\w$-]*)(?P<comparison>\s+pr\b|\s+\w\w\s+(?:{_TEXT}|[^\s()]+))"
)
# manager eq "id", of which the value is compared: a complex attribute, in an extension that Entra leaves out.
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_MANAGER = re.compile(
    rf"(?P<text>{_TEXT})|(?<![\w.:$-])(?:{re.escape(ENTERPRISE)}:)?manager(?=\s+(?:eq|ne|pr)\b)", re.IGNORECASE
)


def in_grammar(filter_text: str) -> str:
    """The same as `emails[type eq "work" and value eq "x"]`, and as the manager's `value`."""
    return _MANAGER.sub(_manager, _COMPARED_SELECTION.sub(_selection, filter_text))


def _manager(match: re.Match[str]) -> str:
    return match["text"] or f"{ENTERPRISE}:manager.value"


def _selection(match: re.Match[str]) -> str:
    if match["text"] is not None:
        return match["text"]
    return f"{match['attribute']}[({match['condition']}) and {match['sub']}{match['comparison']}]"


def attributes(names: str) -> str:
    """Entra chooses values by a filter where names of attributes stand: all values come, of which it finds its own."""
    parts = names.split("[")
    return "".join([parts[0], *(part.partition("]")[2] for part in parts[1:])]) if names.count("]") else names


def with_paths(message: Any) -> Any:
    """Of a PATCH: keys of a value that select among several values become operations of their own."""
    operations_key = key_of(message, "operations")
    if operations_key is None or not isinstance(message[operations_key], list):
        return message
    return message | {operations_key: [part for one in message[operations_key] for part in _parts(one)]}


def _parts(operation: Any) -> list[Any]:
    value_key = key_of(operation, "value")
    value = operation[value_key] if value_key else None
    path_key = key_of(operation, "path")
    if not isinstance(value, dict) or (path_key and operation[path_key]):
        return [operation]
    selecting = {name: item for name, item in value.items() if "[" in name}
    if not selecting:
        return [operation]
    rest = {name: item for name, item in value.items() if name not in selecting}
    parts = [operation | {value_key: rest}] if rest else []
    bare = {name: item for name, item in operation.items() if name not in (path_key, value_key)}
    return [*parts, *(bare | {"path": path, "value": item} for path, item in selecting.items())]


def key_of(message: Any, wanted: str) -> str | None:
    """Names of members have no case."""
    names = message if isinstance(message, dict) else ()
    return next((name for name in names if isinstance(name, str) and name.lower() == wanted), None)
