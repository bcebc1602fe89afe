"""Bodies of every shape: whatever somebody with a token sends, the answer is SCIM's, never a fault of ours."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from idp.scim.dialects import ENTERPRISE
from tests.protocol.scim.support import GROUP, PATCH, USER, Scim, person

pytestmark = pytest.mark.django_db
WRONG: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e300,
    "",
    " ",
    "x" * 5000,
    "\x00",
    "\ud800"[:0] + "\u202e",
    [],
    {},
    [[]],
    [{}],
    {"": {}},
)
VALUES = [
    person(roles=[{"value": "x", "primary": True}], **{ENTERPRISE: {"manager": {"value": "1"}}}),
    {"schemas": [GROUP], "displayName": "Tools", "members": [{"value": "x"}], "externalId": "y"},
    {
        "schemas": [PATCH],
        "Operations": [{"op": "replace", "path": 'emails[type eq "work"].value', "value": "a@b.example"}],
    },
    {
        "schemas": [PATCH],
        "Operations": [{"op": "add", "value": {"active": True, 'emails[type eq "work"].value': "a@b"}}],
    },
    {"schemas": [PATCH], "Operations": [{"op": "remove", "path": "members", "value": [{"value": "x"}]}]},
    {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "failOnErrors": 1,
        "Operations": [
            {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"schemas": [USER], "userName": "b"}}
        ],
    },
    {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": "active eq true", "count": 5},
]


def mutations(value: Any, chance: random.Random) -> Any:
    """A copy with one place wrong."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(list(value))
        kind = chance.random()
        if kind < 0.1:
            return {other: said for other, said in value.items() if other != name}
        if kind < 0.2:
            return value | {chance.choice(["", "x.y", "a[b", "urn:x:User:a", "SCHEMAS", "$ref"]): value[name]}
        return value | {name: mutations(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        return [mutations(value[0], chance), *value[1:]]
    return chance.choice(WRONG)


def requests(scim: Scim, chance: random.Random) -> Iterator[tuple[str, str, Any]]:
    key, group = scim.add(), scim.add_group("Tools")
    for _ in range(250):
        path = chance.choice(
            [f"/Users/{key}", f"/Groups/{group}", "/Users", "/Groups", "/Bulk", "/.search", "/Users/.search"]
        )
        yield chance.choice(["POST", "PUT", "PATCH"]), path, mutations(chance.choice(VALUES), chance)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_sent_the_answer_is_scims(scim: Scim, seed: int) -> None:
    for method, path, body in requests(scim, random.Random(seed)):
        answer = scim.send(method, path, json.dumps(body))
        assert answer.status < 500 or answer.status == 501, (method, path, body, answer.body)
        if answer.status >= 400:
            assert answer["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"], (method, path, body)
    assert scim.get("/Users?count=1000").status == 200
    assert scim.get("/Groups?count=1000").status == 200


@pytest.mark.parametrize(
    "text", ["[" * 60_000, "a[" * 30_000, "emails[" + "(" * 50_000, "a." * 30_000, ":" * 60_000, '"' * 60_000]
)
def test_a_path_that_nobody_can_read_is_refused_at_once(scim: Scim, text: str) -> None:
    key = scim.add()
    answer = scim.patch(f"/Users/{key}", {"op": "replace", "path": text, "value": "x"})
    assert answer.status in (200, 400), answer.body
    assert scim.patch(f"/Users/{key}", {"op": "replace", "value": {text: "x"}}).status in (200, 400)
    assert scim.get(f"/Users?attributes={text[:4000].replace('&', '')}").status in (200, 400)
    assert scim.get(f"/Users/{key}")["userName"] == "ann@acme.example"
