"""Microsoft's Postman collection for SCIM, as scim2-server has it as Python (`test_ms_entra.py`), with its own names and letters."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

import pytest

from tests.protocol.scim.support import GROUP, PATCH, USER, Scim
from tests.protocol.scim.test_okta import members

pytestmark = pytest.mark.django_db
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def body(user_name: str, address: str = "testing@bob.com", **more: Any) -> dict[str, Any]:
    return {
        "UserName": user_name,
        "Active": True,
        "DisplayName": "BobIsAmazing",
        "schemas": [ENTERPRISE, USER],
        "externalId": uuid.uuid4().hex,
        "name": {"formatted": "Ryan Leenay", "familyName": "Leenay", "givenName": "Ryan"},
        "emails": [
            {"Primary": True, "type": "work", "value": address},
            {"Primary": False, "type": "home", "value": "testinghome@bob.com"},
        ],
    } | more


def made(scim: Scim, user_name: str, *arguments: str, **more: Any) -> str:
    answer = scim.post("/Users", body(user_name, *arguments, **more))
    assert answer.status == 201, answer.body
    return str(answer["id"])


def test_endpoints(scim: Scim) -> None:
    for path in ("/ResourceTypes", "/ServiceProviderConfig", "/Schemas", "/Users", "/Groups"):
        assert scim.get(path).status == 200
    assert scim.get("/ResourceTypes")["totalResults"] == 2


def test_users(scim: Scim) -> None:
    first = made(scim, "UserName123")
    second = made(scim, "UserName222", **{ENTERPRISE: {"Department": "bob", "Manager": {"Value": "SuzzyQ"}}})
    assert scim.get(f"/Users/{first}")["id"] == first
    found = scim.get(f"/Users/{second}")[ENTERPRISE]
    assert (found["department"], found["manager"]["value"]) == ("bob", "SuzzyQ")
    listed = scim.get("/Users?attributes=userName,emails")["Resources"]
    assert [(each["id"], "displayName" in each) for each in listed] == [(first, False), (second, False)]
    assert scim.get('/Users?filter=DisplayName eq "BobIsAmazing"')["totalResults"] == 2
    assert scim.patch(f"/Users/{first}", {"op": "replace", "path": "userName", "value": "ryan3"}).status == 200
    assert scim.get(f"/Users/{first}")["userName"] == "ryan3"
    name = {"formatted": "NewName", "familyName": "Leenay", "givenName": "Ryan"}
    assert scim.put(f"/Users/{second}", body("UserNameReplace2", "testing@bobREPLACE.com", name=name)).status == 200
    assert scim.get(f"/Users/{second}")["name"]["formatted"] == "NewName"
    assert [scim.delete(f"/Users/{key}").status for key in (first, second)] == [204, 204]


def test_groups(scim: Scim) -> None:
    empty = scim.add_group("Group1DisplayName")
    third, fourth = made(scim, "UserName333"), made(scim, "UserName444")
    filled = scim.post(
        "/Groups",
        {
            "schemas": [GROUP],
            "externalId": uuid.uuid4().hex,
            "displayName": "GroupDisplayName2",
            "members": [{"value": third, "display": "VP"}],
        },
    )
    assert filled.status == 201
    assert scim.get("/Groups")["totalResults"] == 2
    replaced = scim.add_group("GroupDisplayName3")
    both = [{"value": third, "display": "VP"}, {"value": fourth, "display": "SenorVP"}]
    put = {"schemas": [GROUP], "id": replaced, "displayName": "putName", "members": both}
    assert scim.put(f"/Groups/{replaced}", put).status == 200
    assert (scim.get(f"/Groups/{replaced}")["displayName"], members(scim, replaced)) == ("putName", {third, fourth})
    joins = {"name": "addMember", "op": "add", "path": "members", "value": [{"displayName": "new", "value": fourth}]}
    leaves = {"op": "remove", "path": f'members[value eq "{fourth}"]'}
    for operation, inside in ((joins, {fourth}), (leaves, set()), (joins, {fourth})):
        answer = scim.send("PATCH", f"/Groups/{empty}", {"schemas": [PATCH], "Operations": [operation]})
        assert answer.status in (200, 204), answer.body
        assert members(scim, empty) == inside
    scim.patch(f"/Groups/{empty}", {"op": "remove", "path": "members"})
    assert members(scim, empty) == set()
    assert [scim.delete(f"/Users/{key}").status for key in (third, fourth)] == [204, 204]
    assert [scim.delete(f"/Groups/{key}").status for key in (empty, filled["id"], replaced)] == [204, 204, 204]


@pytest.mark.parametrize("attributes", ['emails[type eq "work"]', 'emails[value eq "emailName357"]'])
def test_complex_attributes(scim: Scim, attributes: str) -> None:
    """An address that is none, and attributes that are chosen by a filter. No server has to; scim2-server does neither."""
    made(scim, "UserName111", "emailName357")
    made(scim, "UserName222", "jump@bob.com")
    answer = scim.get(f"/Users?attributes={quote(attributes)}")
    assert answer.status == 200, answer.body
    assert "emailName357" in str(answer.body)


def test_garbage(scim: Scim) -> None:
    """Each of its bodies is refused in SCIM's words, and what is there stays. The others are in test_strangers.py."""
    key = made(scim, "UserName111")
    for odd in ({"UserName": ""}, {"UserName": None}, {"name": "Ryan"}, {"emails": "x"}, {"Active": "perhaps"}):
        assert scim.post("/Users", body("UserName555", **odd)).status == 400, odd
    assert scim.post("/Users", body("UserName111")).status == 409
    nobody = f"/Users/{uuid.UUID(int=0)}"
    assert (scim.get(nobody).status, scim.delete(nobody).status) == (404, 404)
    assert scim.patch("/Groups/xyz", {"op": "add", "path": "members", "value": []}).status == 404
    assert scim.post("/Groups", {"schemas": [GROUP], "displayName": None}).status == 400
    assert scim.get(f"/Users/{key}")["userName"] == "UserName111"
