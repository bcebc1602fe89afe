"""What Okta sends, from its connection test to the deactivation of a person (its SPEC test, and its provisioning agent)."""

from __future__ import annotations

import pytest
from pytest_django.live_server_helper import LiveServer

from examples.okta_org.organisation import PEOPLE
from examples.okta_org.provisioning import ScimClient
from idp.models import Identity, User
from tests.protocol.scim.support import Scim, person

pytestmark = pytest.mark.django_db
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def test_its_connection_test_reads_a_list(scim: Scim) -> None:
    scim.add()
    answer = scim.get("/Users?startIndex=1&count=2")
    assert (answer.status, answer["schemas"], answer["totalResults"]) == (200, [LIST], 1)
    assert (answer["startIndex"], answer["itemsPerPage"]) == (1, 1)
    first = answer["Resources"][0]
    assert (first["userName"], first["active"], first["emails"][0]["value"]) == (
        "ann@acme.example",
        True,
        "ann@acme.example",
    )
    assert first["name"] == {"givenName": "Ann", "familyName": "Ames"}
    assert scim.get(f"/Users/{first['id']}")["id"] == first["id"]


def test_an_unknown_name_is_an_empty_list_and_an_unknown_id_an_error(scim: Scim) -> None:
    answer = scim.get('/Users?filter=userName eq "nobody@acme.example"&startIndex=1&count=100')
    assert (answer.status, answer["totalResults"]) == (200, 0)
    answer = scim.get(f"/Users/{'01' * 15}")
    assert (answer.status, answer["schemas"], answer["status"]) == (404, [ERROR], "404")


def test_a_person_is_made_once(scim: Scim) -> None:
    answer = scim.post("/Users", person())
    assert answer.status == 201
    assert answer.headers["Location"].endswith(f"/Users/{answer['id']}")
    again = scim.post("/Users", person())
    assert (again.status, again["scimType"], again["status"]) == (409, "uniqueness", "409")
    other_case = scim.post("/Users", person("ANN@acme.example"))
    assert other_case.status == 409


def test_a_person_has_the_user_id_of_their_sign_in(scim: Scim) -> None:
    user = scim.user(scim.add())
    assert user.user_id == "okta|acme-okta|00uann"
    assert (user.email, user.name, user.given_name) == ("ann@acme.example", "Ann Ames", "Ann")
    assert not user.has_usable_password()


def test_a_profile_is_replaced(scim: Scim) -> None:
    key = scim.add()
    answer = scim.put(f"/Users/{key}", person(displayName="Ann B. Ames", nickName="Annie"))
    assert (answer.status, answer["displayName"]) == (200, "Ann B. Ames")
    assert scim.user(key).name == "Ann B. Ames"
    assert scim.put(f"/Users/{key}", person(displayName="Ann"))["userName"] == "ann@acme.example"
    assert "nickName" not in scim.get(f"/Users/{key}").body


def test_a_person_is_deactivated_by_a_value_without_path(scim: Scim) -> None:
    key = scim.add()
    answer = scim.patch(f"/Users/{key}", {"op": "replace", "value": {"active": False}})
    assert (answer.status, answer["active"]) == (200, False)
    assert not scim.user(key).is_active
    assert scim.get(f"/Users/{key}")["active"] is False
    assert scim.patch(f"/Users/{key}", {"op": "replace", "value": {"active": True}}).status == 200
    assert scim.user(key).is_active


def test_a_password_is_not_kept(scim: Scim) -> None:
    key = scim.add(password="Correct-horse-1")
    assert not scim.user(key).has_usable_password()
    assert "password" not in scim.get(f"/Users/{key}").body


def test_groups_are_pushed_with_their_members(scim: Scim) -> None:
    ann, ben = scim.add(), scim.add("ben@acme.example")
    group = scim.add_group("Engineering", ann)
    found = scim.get('/Groups?filter=displayName eq "Engineering"')
    assert (found["totalResults"], found["Resources"][0]["id"]) == (1, group)
    answer = scim.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": ben, "display": "b"}]})
    assert answer.status == 200
    assert members(scim, group) == {ann, ben}
    scim.patch(f"/Groups/{group}", {"op": "remove", "path": f'members[value eq "{ann}"]'})
    assert members(scim, group) == {ben}
    scim.patch(f"/Groups/{group}", {"op": "replace", "path": "members", "value": [{"value": ann}]})
    assert members(scim, group) == {ann}
    scim.patch(f"/Groups/{group}", {"op": "replace", "value": {"id": group, "displayName": "Builders"}})
    assert scim.get(f"/Groups/{group}")["displayName"] == "Builders"
    assert scim.get(f"/Users/{ann}")["groups"][0]["display"] == "Builders"
    assert scim.delete(f"/Groups/{group}").status == 204
    assert scim.get(f"/Groups/{group}").status == 404


def test_somebody_who_came_before_is_the_same_person(scim: Scim) -> None:
    user = User.objects.create(user_id="okta|acme-okta|00uann", email="old@acme.example")
    Identity.objects.create(user=user, connection=scim.connection, sub="00uann")
    assert scim.user(scim.add()) == user
    assert User.objects.get(pk=user.pk).email == "ann@acme.example"


def members(scim: Scim, group: str) -> set[str]:
    return {member["value"] for member in scim.get(f"/Groups/{group}").body.get("members", ())}


@pytest.mark.django_db(transaction=True)
def test_the_demos_okta_finds_or_makes_a_person_and_deactivates_them(live_server: LiveServer, scim: Scim) -> None:
    ann, _, _ = PEOPLE
    okta = ScimClient(f"{live_server.url}{scim.base}", scim.token)
    off = okta.set_active(ann, active=False)
    assert [(one.request.split(" ")[0], one.status) for one in off.exchanges] == [
        ("GET", 200),
        ("POST", 201),
        ("PATCH", 200),
    ]
    user = User.objects.get(user_id=f"okta|acme-okta|{ann.id}")
    assert (user.is_active, user.email, user.name) == (False, ann.email, ann.name)
    on = okta.set_active(ann, active=True)
    assert [one.status for one in on.exchanges] == [200]
    assert User.objects.get(pk=user.pk).is_active
    again = ScimClient(f"{live_server.url}{scim.base}", scim.token).set_active(ann, active=False)
    assert [one.status for one in again.exchanges] == [200, 200]
    assert not User.objects.get(pk=user.pk).is_active


@pytest.mark.django_db(transaction=True)
def test_the_demos_okta_says_why_it_could_not(live_server: LiveServer, scim: Scim) -> None:
    refused = ScimClient(f"{live_server.url}{scim.base}", "tok_wrong").set_active(PEOPLE[0], active=False)
    assert refused.fault == "The application answered 401."
    away = ScimClient("http://127.0.0.1:9/scim", scim.token).set_active(PEOPLE[0], active=False)
    assert away.fault == "The application did not answer."
    assert not User.objects.filter(email=PEOPLE[0].email).exists()
