"""In which line of a tenant file a key path like `clients[0].callbacks[1]` stands."""

from __future__ import annotations

from pathlib import Path

import yaml


def numbered(problems: list[str], path: Path) -> list[str]:
    """Each problem with the line of the nearest key of its path that the file has."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError):
        return problems
    lines: dict[str, int] = {}
    _walk(root, "", lines)
    return [_with_line(problem, lines) for problem in problems]


def _with_line(problem: str, lines: dict[str, int]) -> str:
    place = problem.partition(": ")[0]
    while place and place not in lines:
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    return f"{problem} (line {lines[place]})" if place else problem


def _walk(node: yaml.Node | None, path: str, lines: dict[str, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inside = f"{path}.{key.value}" if path else str(key.value)
            lines[inside] = key.start_mark.line + 1
            _walk(value, inside, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[f"{path}[{index}]"] = value.start_mark.line + 1
            _walk(value, f"{path}[{index}]", lines)
