"""Bodies as sources write them, which the models would refuse whole though only one value is odd: the write may say `active: false`.

Pure. What is blank is nothing, and of several that are called primary the first is. What is of a wrong type stays, and is refused.
"""

from __future__ import annotations

from typing import Any

from idp.scim.dialects import key_of, with_paths

MANAGER = "manager"
REQUIRED = frozenset({"username", "displayname", "active"})  # blank is a fault, and no way to take them away


def readable(message: Any) -> Any:
    """Of a resource, of a PATCH, and of both in a bulk request."""
    key = key_of(message, "operations")
    if key is None:
        return _resource(message) if isinstance(message, dict) else message
    if not isinstance(message[key], list):
        return message
    return with_paths(message | {key: [_operation(one) for one in message[key]]})


def _operation(one: Any) -> Any:
    data = key_of(one, "data")
    if data is not None:
        return one | {data: readable(one[data])}
    value, path = key_of(one, "value"), key_of(one, "path")
    if value is None:
        return one
    if path is None or not isinstance(one[path], str) or not one[path]:
        return one | {value: _resource(one[value])} if isinstance(one[value], dict) else one
    return _with_value(one, value, _name(one[path]))


def _with_value(one: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    value = _value(name, one[key])
    op = key_of(one, "op")
    if value is None and one[key] is not None and op is not None:
        rest = {member: said for member, said in one.items() if member != key}
        return rest | {op: "remove"}
    return one | {key: value}


def _resource(said: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(_name(name), value) for name, value in said.items()}


def _value(name: str, value: Any) -> Any:
    if name == MANAGER:
        return _manager(value)
    if isinstance(value, str):
        return value if value.strip() or name in REQUIRED else None
    if isinstance(value, dict):
        return _resource(value)
    return _one_primary(value) if isinstance(value, list) else value


def _manager(value: Any) -> Any:
    """Entra says the id alone, or a list of one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return {"value": value} if value.strip() else None
    return value


def _one_primary(entries: list[Any]) -> list[Any]:
    found, has_one = [], False
    for entry in entries:
        key = key_of(entry, "primary")
        if key is not None and str(entry[key]).lower() == "true":
            entry, has_one = entry | {key: not has_one}, True
        found.append(_resource(entry) if isinstance(entry, dict) else entry)
    return found


def _name(path: str) -> str:
    """The last part of a path: `emails[type eq "work"].value` is `emails.value`, without the name of a schema."""
    head, _, rest = path.partition("[")
    whole = f"{head}{rest.rpartition(']')[2]}".lower()
    return whole if whole.endswith(":user") else whole.rpartition(":")[2]
