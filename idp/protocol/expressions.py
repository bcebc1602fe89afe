"""JMESPath expressions of administrators, evaluated within bounds: of each we know before that it ends, soon and small.

An expression cannot loop, but it can double what it has at every step, and then compare, sort or write down the result. So
every step counts, and so does everything that is made: nothing grows beyond what a token could hold. The limits are counts,
not seconds: an expression that works on a fast machine works on a slow one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jmespath
from jmespath import functions, visitor
from jmespath.exceptions import JMESPathError

LONGEST = 2000  # characters of an expression
DEEPEST = 40  # expressions within expressions
MOST_STEPS = 200_000
LARGEST = 1_000_000  # characters of anything on the way
_CAN_GROW = (str, list, dict)


class Unusable(ValueError):
    """Why an expression gives nothing, in words that follow its name."""


class Lazy(Mapping[str, Any]):
    """The names that an expression may begin with; each value is made when it is first asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self._makers = makers
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Any:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@dataclass(frozen=True, slots=True)
class Expression:
    """One that is written correctly."""

    text: str
    parsed: Any = field(repr=False, compare=False)

    def value(self, root: Lazy) -> Any:
        """What it gives, JSON; raises Unusable. None: there is nothing."""
        try:
            found = _Interpreter(root).visit(self.parsed, root)
            if not _Interpreter.weighs(self.parsed, found):
                weigh(found, LARGEST)
        except Unusable:
            raise
        except (JMESPathError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise Unusable(f"cannot be evaluated: {_first_line(error)}") from None
        except RecursionError:
            raise Unusable("is nested too deeply") from None
        return found


def read(text: object) -> Expression:
    """Raises Unusable for what is no expression."""
    if not isinstance(text, str) or not text.strip():
        raise Unusable("is missing: a JMESPath expression")
    if len(text) > LONGEST:
        raise Unusable(f"is longer than {LONGEST} characters")
    try:
        parsed = jmespath.compile(text).parsed
    except (JMESPathError, ValueError) as error:
        raise Unusable(f"is no JMESPath expression: {_first_line(error)}") from None
    except RecursionError:
        raise Unusable("is nested too deeply") from None
    if _depth(parsed) > DEEPEST:
        raise Unusable("is nested too deeply")
    return Expression(text, parsed)


def weigh(value: Any, limit: int) -> int:
    """About how many characters a value has as JSON. Raises Unusable beyond the limit, and for what JSON does not have.

    What is in it several times counts each time, and it never looks further than the limit.
    """
    weight, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            weight += len(item) + 2
        elif isinstance(item, list):
            weight += 2 + 2 * len(item)
            waiting.extend(item)
        elif isinstance(item, dict):
            weight += 2 + 2 * len(item)
            waiting.extend((*item.keys(), *item.values()))
        else:
            weight += _weight_of_scalar(item)
        if weight > limit:
            raise Unusable(f"gives more than {limit:,} characters")
    return weight


def _weight_of_scalar(item: Any) -> int:
    if item is None or isinstance(item, bool):
        return 5
    if isinstance(item, float) and not math.isfinite(item):
        raise Unusable("gives a number that is none")
    if isinstance(item, int | float):
        return min(item.bit_length(), 4000) // 3 + 1 if isinstance(item, int) else 24
    raise Unusable("gives something that JSON does not have")


class _Functions(functions.Functions):
    """The library's, which remember what they take: it is asked at each call, and never changes."""

    def _get_allowed_pytypes(self, types: list[str]) -> Any:
        return _types_of(tuple(types))


@cache
def _types_of(types: tuple[str, ...]) -> Any:
    """Of the library's own signatures, so that there is an end of them."""
    return functions.Functions()._get_allowed_pytypes(types)  # type: ignore[attr-defined]


_FUNCTIONS = _Functions()


class _Interpreter(visitor.TreeInterpreter):
    """The library's, with the root's values made when they are asked for, and everything counted."""

    MAKES = frozenset(
        {"function_expression", "flatten", "multi_select_list", "multi_select_dict", "projection"}
        | {"value_projection", "filter_projection", "slice"}
    )

    def __init__(self, root: Lazy) -> None:
        super().__init__()
        self._functions = _FUNCTIONS
        self._methods: dict[str, Callable[..., Any]] = {}
        self._root = root
        self._left = MOST_STEPS

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        """The library's, without a call of its own: this is each step of each expression of each token."""
        self._left -= 1
        if self._left < 0:
            raise Unusable("takes too long")
        kind = node["type"]
        if (method := self._methods.get(kind)) is None:
            method = self._methods[kind] = getattr(self, f"visit_{kind}", self.default_visit)
        found = method(node, *args, **kwargs)
        if kind in self.MAKES and isinstance(found, _CAN_GROW):
            self._left -= weigh(found, LARGEST) // 8
        return found

    @classmethod
    def weighs(cls, node: Any, found: Any) -> bool:
        """Whether this was made here, and is something that can grow."""
        return isinstance(found, _CAN_GROW) and node["type"] in cls.MAKES

    def visit_field(self, node: Any, value: Any) -> Any:
        if value is self._root:
            return self._root.get(node["value"])
        return value.get(node["value"]) if isinstance(value, dict) else None

    def visit_current(self, node: Any, value: Any) -> Any:
        return self._plain(value)

    def visit_identity(self, node: Any, value: Any) -> Any:
        return self._plain(value)

    def _plain(self, value: Any) -> Any:
        return dict(self._root) if value is self._root else value


def _depth(node: Any) -> int:
    """Of the parsed expression, without recursion."""
    deepest, waiting = 0, [(node, 1)]
    while waiting:
        current, depth = waiting.pop()
        deepest = max(deepest, depth)
        children = current.get("children", ()) if isinstance(current, dict) else ()
        waiting.extend((child, depth + 1) for child in children if isinstance(child, dict))
    return deepest


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
