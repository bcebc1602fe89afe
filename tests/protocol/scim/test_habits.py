"""What sources really send beside the specification: an odd value must not keep a whole write out, which may say `active: false`."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from scim2_models.messages.message import Message

from idp.scim import bodies
from idp.scim.dialects import ENTERPRISE, in_grammar
from sessions_app.models import SessionEvent
from tests.protocol.scim.support import GROUP, PATCH, USER, Scim, person
from tests.support.factories import make_session

pytestmark = pytest.mark.django_db
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
ODD: dict[str, Any] = {
    "an address of a domain of our own": {"emails": [{"value": "ann@corp.local", "type": "work", "primary": True}]},
    "no address": {"emails": [{"value": "none", "primary": True}]},
    "a blank address": {"emails": [{"value": "", "type": "work"}]},
    "two primary addresses": {
        "emails": [{"value": "a@acme.example", "primary": True}, {"value": "b@acme.example", "primary": "True"}]
    },
    "blank texts": {"title": "", "profileUrl": "", "locale": "", "timezone": "", "name": {"givenName": " "}},
    "nulls": {"emails": None, "name": None, "phoneNumbers": None},
    "a manager as text": {ENTERPRISE: {"manager": "26118915"}},
    "a manager by id": {ENTERPRISE: {"manager": {"value": "26118915"}}},
    "a blank manager": {ENTERPRISE: {"manager": ""}},
    "an extension nobody knows": {"urn:okta:acme:1.0:user:custom": {"shoe": 42}, "shoe": 42},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_value_keeps_nobody_in(scim: Scim, odd: dict[str, Any]) -> None:
    key = scim.add()
    session = make_session(scim.user(key))
    answer = scim.put(f"/Users/{key}", person(active=False, **odd))
    assert (answer.status, answer["active"]) == (200, False), answer.body
    session.refresh_from_db()
    assert session.ended_at is not None
    assert scim.post("/Users", person("ben@acme.example", **odd)).status == 201
    everything = {"op": "Replace", "value": {**odd, "active": "False"}}
    other = scim.add("cid@acme.example")
    assert scim.patch(f"/Users/{other}", everything)["active"] is False


def test_an_address_that_is_none_is_kept_for_the_source_and_is_nobodys_email(scim: Scim) -> None:
    key = scim.add(emails=[{"value": "none", "primary": True}])
    assert scim.get(f"/Users/{key}")["emails"][0]["value"] == "none"
    assert scim.user(key).email == ""
    forged = scim.add("eve@acme.example", emails=[{"value": "x\nann@acme.example\ny@z", "primary": True}])
    assert scim.user(forged).email == ""
    assert scim.get('/Users?filter=emails.value eq "ann@acme.example"')["totalResults"] == 0


@pytest.mark.parametrize(
    "manager", ["{boss}", ["{boss}"], [{"$ref": "../Users/{boss}", "value": "{boss}"}], {"value": "{boss}"}]
)
def test_entra_sets_a_manager_and_looks_whether_it_did(scim: Scim, manager: Any) -> None:
    key, boss = scim.add(), scim.add("boss@acme.example")
    value = _filled(manager, boss)
    answer = scim.patch(f"/Users/{key}", {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": value})
    assert answer[ENTERPRISE]["manager"]["value"] == boss
    for name in ("manager", f"{ENTERPRISE}:manager", f"{ENTERPRISE}:manager.value"):
        found = scim.get(f'/Users?filter=id eq "{key}" and {name} eq "{boss}"&attributes=id')
        assert (found["totalResults"], found["Resources"][0]["id"]) == (1, key)
    answer = scim.patch(f"/Users/{key}", {"op": "Remove", "path": f"{ENTERPRISE}:manager"})
    assert ENTERPRISE not in answer.body
    assert scim.get(f'/Users?filter=id eq "{key}" and manager eq "{boss}"')["totalResults"] == 0


def _filled(value: Any, boss: str) -> Any:
    if isinstance(value, str):
        return value.format(boss=boss)
    if isinstance(value, list):
        return [_filled(each, boss) for each in value]
    return {name: _filled(each, boss) for name, each in value.items()}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ('emails[type eq "work"].value', ""),
        ("title", ""),
        ("name.givenName", ""),
        (f"{USER}:nickName", " "),
        (f"{ENTERPRISE}:department", ""),
    ],
)
def test_a_blank_value_takes_the_attribute_away(scim: Scim, path: str, value: str) -> None:
    key = scim.add(title="x", nickName="x", **{ENTERPRISE: {"department": "x", "division": "y"}})
    for op in ("Replace", "Add"):
        answer = scim.patch(f"/Users/{key}", {"op": op, "path": path, "value": value})
        assert answer.status == 200, answer.body
    assert "" not in str(answer.body).split("'")[1::2]


def test_what_is_needed_is_not_taken_away_by_a_blank(scim: Scim) -> None:
    key, group = scim.add(), scim.add_group("Tools")
    for path, name in ((f"/Users/{key}", "userName"), (f"/Users/{key}", "active"), (f"/Groups/{group}", "displayName")):
        assert scim.patch(path, {"op": "replace", "path": name, "value": ""}).status == 400
    assert scim.user(key).is_active


def test_the_same_in_bulk(scim: Scim) -> None:
    key = scim.add()
    value = {'emails[type eq "work"].value': "ann@corp.local", f"{ENTERPRISE}:manager": "26118915", "active": "False"}
    data = {"schemas": [PATCH], "Operations": [{"op": "Replace", "value": value}]}
    message = {
        "schemas": [BULK],
        "Operations": [{"method": "PATCH", "path": f"/Users/{key}", "data": data}],
    }
    assert scim.post("/Bulk", message)["Operations"][0]["status"] == "200"
    found = scim.get(f"/Users/{key}")
    assert (found["active"], found["emails"][0]["value"]) == (False, "ann@corp.local")
    assert found[ENTERPRISE]["manager"] == {"value": "26118915"}


def test_a_group_is_found_in_whatever_case(scim: Scim) -> None:
    group = scim.add_group("Tools")
    for name in ("Tools", "TOOLS", "tools"):
        found = scim.get(f'/Groups?excludedAttributes=members&filter=displayName eq "{name}"')
        assert [each["id"] for each in found["Resources"]] == [group]
    assert scim.get('/Groups?filter=displayName ne "tools"')["totalResults"] == 0
    assert scim.get('/Groups?filter=displayName sw "TOO"')["totalResults"] == 1
    assert scim.get('/Groups?filter=displayName eq "T%"')["totalResults"] == 0


def test_a_sync_that_changes_nothing_writes_nothing(scim: Scim) -> None:
    key = scim.add()
    before = scim.get(f"/Users/{key}").body
    lines = SessionEvent.objects.count()
    scim.put(f"/Users/{key}", person())
    scim.patch(f"/Users/{key}", {"op": "replace", "value": {"active": True}})
    assert scim.get(f"/Users/{key}").body == before
    assert SessionEvent.objects.count() == lines


def test_adding_one_of_many_members_does_not_read_all_of_them(scim: Scim) -> None:
    keys = [scim.add(f"p{number}@acme.example") for number in range(101)]
    group = scim.add_group("Everybody", *keys[:-1])
    joins = {"op": "add", "path": "members", "value": [{"value": keys[-1]}]}
    assert scim.patch(f"/Groups/{group}", joins).status == 204
    assert len(scim.get(f"/Groups/{group}")["members"]) == 101


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ('manager eq "x"', f'{ENTERPRISE}:manager.value eq "x"'),
        (f'{ENTERPRISE}:manager eq "x"', f'{ENTERPRISE}:manager.value eq "x"'),
        ("MANAGER pr", f"{ENTERPRISE}:manager.value pr"),
        (f'{ENTERPRISE}:manager.value eq "x"', f'{ENTERPRISE}:manager.value eq "x"'),
        ('userName eq "manager eq 5"', 'userName eq "manager eq 5"'),
        ('title eq "\\"manager eq 5"', 'title eq "\\"manager eq 5"'),
    ],
)
def test_managers_in_filters(said: str, read: str) -> None:
    assert in_grammar(said) == read


@pytest.mark.parametrize("message", [None, 5, "x", [], [{}], {"Operations": 5}, {"Operations": [None, 5, {}, []]}])
def test_what_is_no_body_stays_as_it_is(message: Any) -> None:
    assert bodies.readable(message) == message


def test_a_group_with_a_blank_external_id(scim: Scim) -> None:
    answer = scim.post("/Groups", {"schemas": [GROUP], "displayName": "Tools", "externalId": "", "members": []})
    assert (answer.status, "externalId" in answer.body) == (201, False)


def test_no_request_makes_classes_that_an_earlier_one_made(scim: Scim) -> None:
    def ask() -> None:
        scim.patch(f"/Users/{key}", {"op": "replace", "path": "title", "value": "Ms"})
        for path in ("/Users?count=1", "/Groups?count=1", "/ResourceTypes", "/Schemas"):
            assert scim.get(path).status == 200, path
        bulk = {"method": "DELETE", "path": f"/Users/{key}0"}
        assert scim.post("/Bulk", {"schemas": [BULK], "Operations": [bulk]}).status == 200

    key = scim.add()
    ask()
    gc.collect()
    before = _kinds_of(Message)
    ask()
    assert _kinds_of(Message) - before == set()


def _kinds_of(kind: type[Any]) -> set[type[Any]]:
    return {kind}.union(*map(_kinds_of, kind.__subclasses__()))
