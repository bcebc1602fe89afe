"""Reading a tenant file key by key. Every problem is kept with its path in the file; nothing is raised until all are known."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from idp.protocol.text import storable
from idp.tenants import auth0_keys, placeholders

Check = Callable[[str], str | None]
NOT_DONE = "is not done here, and what it asks for would be missing: leave it out to go on without"
MOST_GUESSES = 20  # at what was meant; each is dear, and programs send thousands of keys in one body
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class TenantFileError(Exception):
    """What is wrong with the file: one line for each problem, beginning with the key's path."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a key come twice and takes the last one; we do not."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{key} comes twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(path: Path) -> dict[str, Any]:
    """The file's top mapping; raises TenantFileError."""
    try:
        text = path.read_text(encoding="utf-8")
        if unfilled := placeholders.problems(text):
            raise TenantFileError(unfilled)
        document = yaml.load(text, _UniqueKeys)  # noqa: S506  a SafeLoader
    except OSError as error:
        raise TenantFileError([f"{path}: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise TenantFileError([f"{path}: not readable as YAML: {error}"]) from error
    if not isinstance(document, dict):
        raise TenantFileError([f"{path}: the file must be a mapping with keys like tenant and clients"])
    return document


class Reader:
    """One mapping of the file. Methods take a key; `done()` complains about keys that nobody took.

    `ignored` is filled with Auth0's keys that mean nothing here: (place in the shape, key), each once.
    """

    def __init__(
        self,
        values: Any,
        path: str,
        problems: list[str],
        folder: Path,
        ignored: dict[tuple[str, str], None] | None = None,
    ) -> None:
        self.path = path
        self.problems = problems
        self.folder = folder
        self.ignored = {} if ignored is None else ignored
        self._taken: set[str] = set()
        self.values: dict[str, Any] = values if isinstance(values, dict) else {}
        if not isinstance(values, dict):
            self._complain(path, f"a mapping is needed, not {_kind(values)}")

    def has(self, key: str) -> bool:
        return key in self.values

    def problem(self, key: str, message: str) -> None:
        self._complain(self._at(key), message)

    def text(self, key: str, *, check: Check | None = None, longest: int = 1000, required: bool = False) -> str | None:
        """Text; None when the key is absent or the value is wrong. Numbers are not text: quote them."""
        value = self._take(key)
        if value is None:
            if required:
                self.problem(key, "is missing")
            return None
        if not self._is_text(self._at(key), value, longest):
            return None
        if required and not value:
            self.problem(key, "is empty")
        elif value and check and (reason := check(value)):
            self.problem(key, reason)
            return None
        return str(value)

    def choice(self, key: str, choices: Collection[str]) -> str | None:
        value = self.text(key)
        if value is not None and value not in choices:
            self.problem(key, f"must be one of {', '.join(choices)}, not {value}")
            return None
        return value

    def boolean(self, key: str) -> bool | None:
        value = self._take(key)
        if value is not None and not isinstance(value, bool):
            self.problem(key, f"must be true or false, not {_kind(value)}")
            return None
        return value

    def integer(self, key: str, *, least: int = 0, most: int = 2_000_000_000) -> int | None:
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.problem(key, f"must be a whole number from {least} to {most}")
            return None
        return value

    def number(self, key: str, *, least: float, most: float) -> float | None:
        value = self._take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self.problem(key, f"must be a number from {least:g} to {most:g}")
            return None
        return float(value)

    def texts(
        self, key: str, *, check: Check | None = None, choices: Collection[str] = (), longest: int = 1000
    ) -> list[str] | None:
        """A list of different texts."""
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, list):
            self.problem(key, f"must be a list, not {_kind(value)}")
            return None
        good: dict[str, None] = {}  # in order, and asked for in no time however many there are
        for index, item in enumerate(value):
            where = f"{self._at(key)}[{index}]"
            if not self._is_text(where, item, longest):
                continue
            reason = check(item) if check else None
            if choices and item not in choices:
                reason = f"must be one of {', '.join(choices)}, not {item}"
            if item in good:
                reason = f"{item} comes twice"
            if reason:
                self._complain(where, reason)
            else:
                good[item] = None
        return list(good)

    def mapping(self, key: str) -> dict[str, Any] | None:
        value = self._take(key)
        if value is not None and not isinstance(value, dict):
            self.problem(key, f"a mapping is needed, not {_kind(value)}")
            return None
        if reason := storable.problem(value):
            self.problem(key, reason)
            return None
        return value

    def anything(self, key: str) -> Any:
        return self._take(key)

    def inner(self, key: str) -> Reader | None:
        value = self._take(key)
        return None if value is None else self._inside(value, self._at(key))

    def each(self, key: str) -> Iterator[Reader]:
        """The mappings of a list."""
        value = self._take(key)
        if value is None:
            return
        if not isinstance(value, list):
            self.problem(key, f"must be a list, not {_kind(value)}")
            return
        for index, item in enumerate(value):
            yield self._inside(item, f"{self._at(key)}[{index}]")

    def secret(self, key: str) -> str | None:
        """Text, `{env: NAME}` or `{file: PATH}` (relative to the tenant file). A trailing line end is not part of it."""
        value = self._take(key)
        if isinstance(value, dict):
            value = self._referenced(key, value)
        if value is None:
            return None
        if not self._is_text(self._at(key), value, 20_000):
            return None
        if not value:
            self.problem(key, "is empty")
            return None
        return str(value)

    def done(self) -> None:
        guesses = iter(range(MOST_GUESSES))
        for key, value in self.values.items():
            if key in self._taken:
                continue
            if auth0_keys.is_meaningless(self.path, key, value):
                self.ignore(key)
            else:
                self.problem(key, self._why_not(key, guesses=next(guesses, None) is not None))

    def refuse(self, key: str) -> None:
        """A key that demands what is not done here."""
        self._taken.add(key)
        self.problem(key, NOT_DONE)

    def ignore(self, key: str) -> None:
        self.ignored[(auth0_keys.place(self.path), key)] = None

    def _why_not(self, key: str, *, guesses: bool) -> str:
        if auth0_keys.is_demand(self.path, key):
            return NOT_DONE
        known = self._taken | auth0_keys.known(self.path) if guesses else ()
        nearest = difflib.get_close_matches(key, known, n=1)
        return f"is not known here{f': is {nearest[0]} meant?' if nearest else ''}"

    def _inside(self, value: Any, path: str) -> Reader:
        return type(self)(value, path, self.problems, self.folder, self.ignored)

    def _referenced(self, key: str, value: dict[str, Any]) -> str | None:
        match value:
            case {"env": str(name), **rest} if not rest:
                if name not in os.environ:
                    self.problem(key, f"the environment has no {name}")
                return os.environ.get(name)
            case {"file": str(name), **rest} if not rest:
                try:
                    return (self.folder / name).read_text(encoding="utf-8").rstrip("\r\n")
                except (OSError, UnicodeDecodeError) as error:
                    self.problem(key, f"{name} cannot be read: {error}")
                    return None
        self.problem(key, "a secret is text, {env: NAME} or {file: PATH}")
        return None

    def _is_text(self, where: str, value: Any, longest: int) -> bool:
        if not isinstance(value, str):
            self._complain(where, f"must be text, not {_kind(value)}")
        elif _UNSTORABLE.search(value):
            self._complain(where, "holds a character that cannot be stored")
        elif len(value) > longest:
            self._complain(where, f"is longer than {longest} characters")
        else:
            return True
        return False

    def _take(self, key: str) -> Any:
        self._taken.add(key)
        return self.values.get(key)

    def _at(self, key: str) -> str:
        return ".".join(filter(None, (self.path, key)))

    def _complain(self, path: str, message: str) -> None:
        self.problems.append(f"{path}: {message}" if path else message)


def given(**columns: Any) -> dict[str, Any]:
    """Columns that the file says something about."""
    return {name: value for name, value in columns.items() if value is not None}


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")
