"""What Entra sends without `aadOptscim062020`, and what its validator reads."""

from __future__ import annotations

import uuid

import pytest

from tests.protocol.scim.support import GROUP, Scim, person
from tests.protocol.scim.test_okta import members

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(scim: Scim) -> str:
    return scim.add()


def test_its_first_call_is_a_filter_with_a_random_guid(scim: Scim) -> None:
    answer = scim.get(f'/Users?filter=userName eq "{uuid.uuid4()}"')
    assert (answer.status, answer["totalResults"]) == (200, 0)


def test_schemas_are_a_list_response(scim: Scim) -> None:
    answer = scim.get("/Schemas")
    assert answer["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]
    assert {entry["id"] for entry in answer["Resources"]} >= {
        "urn:ietf:params:scim:schemas:core:2.0:User",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        GROUP,
    }


@pytest.mark.parametrize(
    "condition",
    [
        'userName eq "ANN@acme.EXAMPLE"',
        'externalId eq "00uann"',
        'emails[type eq "work"].value eq "ann@acme.example"',
        'emails[type eq "work" and value eq "Ann@acme.example"]',
        'emails.value eq "ann@acme.example"',
        'emails[value eq "ann@acme.example"]',
        'userName eq "ann@acme.example" and active eq true',
        'userName eq "x" or externalId eq "00uann"',
        'not (userName eq "x")',
        'displayName eq "ann ames"',
        'name.familyName sw "Am"',
        'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ann@acme.example"',
        "title pr or userName pr",
        'meta.lastModified gt "2020-01-01T00:00:00Z"',
    ],
)
def test_people_are_found(scim: Scim, ann: str, condition: str) -> None:
    scim.add("ben@acme.example", displayName="Ben", name={"familyName": "Brown"})
    if condition.startswith(("not", "title", "meta")):
        assert ann in {entry["id"] for entry in scim.get(f"/Users?filter={condition}")["Resources"]}
        return
    answer = scim.get(f"/Users?filter={condition}")
    assert (answer.status, [entry["id"] for entry in answer.body.get("Resources", ())]) == (200, [ann])


def test_several_attributes_with_dotted_keys(scim: Scim, ann: str) -> None:
    value = {
        "displayName": "Ann B.",
        "name.givenName": "Annie",
        'emails[type eq "work"].value': "annie@acme.example",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "Tools",
    }
    answer = scim.patch(f"/Users/{ann}", {"op": "Replace", "value": value})
    assert (answer.status, answer["displayName"], answer["name"]["givenName"]) == (200, "Ann B.", "Annie")
    assert answer["emails"][0]["value"] == "annie@acme.example"
    assert answer["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["department"] == "Tools"
    assert scim.user(ann).email == "annie@acme.example"


def test_an_address_of_a_type_that_is_not_there_is_added(scim: Scim) -> None:
    key = scim.add(emails=[])
    answer = scim.patch(
        f"/Users/{key}", {"op": "Add", "path": 'emails[type eq "work"].value', "value": "new@acme.example"}
    )
    assert answer["emails"] == [{"type": "work", "value": "new@acme.example"}]


def test_inactive_people_are_still_read(scim: Scim, ann: str) -> None:
    assert scim.patch(f"/Users/{ann}", {"op": "Replace", "path": "active", "value": "False"})["active"] is False
    assert scim.get(f"/Users/{ann}").status == 200
    assert scim.get('/Users?filter=userName eq "ann@acme.example"')["totalResults"] == 1


def test_a_person_made_inactive_with_text(scim: Scim) -> None:
    answer = scim.post("/Users", person(active="False"))
    assert (answer.status, answer["active"]) == (201, False)
    assert not scim.user(answer["id"]).is_active


def test_a_group_with_an_extension_of_microsoft(scim: Scim) -> None:
    schemas = [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"]
    answer = scim.post("/Groups", {"schemas": schemas, "externalId": "8aa1", "displayName": "Tools", "members": []})
    assert answer.status == 201, answer.body
    assert answer["schemas"] == [GROUP]


def test_members_by_a_list_and_only_those_are_removed(scim: Scim, ann: str) -> None:
    ben = scim.add("ben@acme.example")
    group = scim.add_group("Tools", ann, ben)
    answer = scim.patch(f"/Groups/{group}", {"op": "Remove", "path": "members", "value": [{"value": ann}]})
    assert answer.status == 204
    assert members(scim, group) == {ben}
    scim.patch(f"/Groups/{group}", {"op": "Add", "path": "members", "value": [{"$ref": None, "value": ann}]})
    assert members(scim, group) == {ann, ben}


def test_a_group_is_read_without_its_members(scim: Scim, ann: str) -> None:
    group = scim.add_group("Tools", ann)
    answer = scim.get('/Groups?excludedAttributes=members&filter=displayName eq "Tools"')
    assert "members" not in answer["Resources"][0]
    assert "members" not in scim.get(f"/Groups/{group}?excludedAttributes=members").body
    found = scim.get(f'/Groups?filter=id eq "{group}" and members eq "{ann}"')
    assert found["totalResults"] == 1
    assert scim.get(f'/Groups?filter=id eq "{group}" and members[value eq "{"0" * 24}"]')["totalResults"] == 0
