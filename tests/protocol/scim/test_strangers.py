"""Who may write, what they may not, and what becomes of what cannot be read."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from idp.models import Membership, ProvisionedUser, Provisioning, ProvisioningToken, User
from idp.protocol.opaque import digest
from idp.scim import tokens
from idp.scim.pace import PACE, Pace
from sessions_app.models import SessionEvent
from tests.protocol.scim.conftest import provisioned
from tests.protocol.scim.support import PATCH, USER, Scim, person
from tests.support.factories import make_connection, make_user

pytestmark = pytest.mark.django_db
ERROR = ["urn:ietf:params:scim:api:messages:2.0:Error"]


@pytest.fixture
def other(db: None) -> Scim:
    return provisioned(make_connection("globex", "okta"))


class TestTokens:
    def test_a_token_is_kept_as_its_digest(self, scim: Scim) -> None:
        row = ProvisioningToken.objects.get()
        assert scim.token.startswith(f"{row.token_id}.")
        assert len(scim.token) == 20 + 1 + 64
        assert row.token_hash == digest(scim.token)

    def test_there_are_two_at_most(self, scim: Scim) -> None:
        at, provisioning = timezone.now(), Provisioning.objects.get()
        tokens.create(provisioning, actor="admin:1", at=at)
        with pytest.raises(tokens.CannotProvision, match="2 tokens"):
            tokens.create(provisioning, actor="admin:1", at=at)

    def test_an_expired_one_counts_no_more_and_opens_nothing(self, scim: Scim) -> None:
        at, provisioning = timezone.now(), Provisioning.objects.get()
        short = tokens.create(provisioning, actor="admin:1", at=at - timedelta(hours=1), lifetime=900)
        scim.token = short.raw
        assert scim.get("/Users").status == 401
        tokens.create(provisioning, actor="admin:1", at=at)

    @pytest.mark.parametrize("lifetime", [0, 899])
    def test_it_lives_fifteen_minutes_at_least(self, scim: Scim, lifetime: int) -> None:
        with pytest.raises(tokens.CannotProvision, match="900"):
            tokens.create(Provisioning.objects.get(), actor="admin:1", at=timezone.now(), lifetime=lifetime)

    def test_a_database_is_not_provisioned(self, db: None) -> None:
        with pytest.raises(tokens.CannotProvision):
            tokens.switch_on(make_connection(), actor="admin:1", at=timezone.now())

    def test_scopes_bound_what_it_may_do_also_in_bulk(self, scim: Scim) -> None:
        ProvisioningToken.objects.update(scopes=["get:users"])
        assert scim.get("/Users").status == 200
        assert scim.get("/Groups").status == 403
        assert scim.post("/Users", person()).status == 403
        operation = {"method": "POST", "path": "/Users", "bulkId": "a", "data": person()}
        answer = scim.post(
            "/Bulk", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]}
        )
        assert answer["Operations"][0]["status"] == "403"
        assert not ProvisionedUser.objects.exists()

    def test_its_making_and_removal_are_in_the_evidence(self, scim: Scim) -> None:
        tokens.remove(ProvisioningToken.objects.get(), actor="admin:1", at=timezone.now())
        assert scim.get("/Users").status == 401
        lines = SessionEvent.objects.filter(type="connection_changed").values_list("data", flat=True)
        assert [line["changes"][0]["to"] for line in lines] == ["on", "made", "removed"]
        assert scim.token not in json.dumps(list(lines))

    @pytest.mark.parametrize("value", ["", "Bearer", "Bearer x", "Basic eA==", f"Bearer tok_{'0' * 16}.{'0' * 64}"])
    def test_without_a_right_one_is_401_in_scim(self, scim: Scim, value: str) -> None:
        answer = scim.get("/Users", Authorization=value)
        assert (answer.status, answer["schemas"], answer["status"]) == (401, ERROR, "401")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/scim+json"

    def test_wrong_ones_are_counted(self, scim: Scim) -> None:
        for _ in range(100):
            assert scim.get("/Users", Authorization="Bearer tok_wrong").status == 401
        answer = scim.get("/Users", Authorization="Bearer tok_wrong")
        assert (answer.status, answer["schemas"]) == (429, ERROR)
        assert int(answer.headers["Retry-After"]) > 0
        assert scim.get("/Users").status == 200


class TestOtherConnections:
    def test_a_token_of_another_connection_opens_nothing(self, scim: Scim, other: Scim) -> None:
        key = scim.add()
        scim.token = other.token
        for answer in (scim.get("/Users"), scim.get(f"/Users/{key}"), scim.delete(f"/Users/{key}")):
            assert (answer.status, answer["schemas"]) == (403, ERROR)

    def test_a_connection_that_is_not_there_answers_as_one_of_others(self, other: Scim) -> None:
        other.connection.name = "nobody"
        assert other.get("/Users").status == 403

    def test_people_of_another_connection_are_nobody(self, scim: Scim, other: Scim) -> None:
        key, group = scim.add(), scim.add_group("Staff")
        assert other.get("/Users")["totalResults"] == 0
        assert {
            answer.status
            for answer in (
                other.get(f"/Users/{key}"),
                other.patch(f"/Users/{key}", {"op": "replace", "value": {"active": False}}),
                other.put(f"/Users/{key}", person()),
                other.delete(f"/Users/{key}"),
                other.get(f"/Groups/{group}"),
                other.delete(f"/Groups/{group}"),
            )
        } == {404}
        mine = other.add_group("Staff", key)
        assert "members" not in other.get(f"/Groups/{mine}").body
        assert scim.user(key).is_active

    def test_a_disabled_connection_is_written_by_nobody(self, scim: Scim) -> None:
        type(scim.connection).objects.update(enabled=False)
        assert scim.get("/Users").status == 403


class TestPowers:
    @pytest.mark.parametrize(
        "said",
        [
            {"is_staff": True, "is_superuser": True, "isStaff": True},
            {"roles": [{"value": "admin", "primary": True}], "entitlements": [{"value": "everything"}]},
            {"id": "1", "meta": {"version": "x"}, "user_id": "auth0|1", "sub": "x", "revoked_before": None},
            {"groups": [{"value": "1"}], "user_permissions": [1], "app_metadata": {"admin": True}},
            {
                "email_verified": True,
                "emailVerified": True,
                "emails": [{"value": "ann@acme.example", "verified": True}],
            },
            {"claims": {"admin": True}, "user_metadata": {"admin": True}, "is_active": True, "password": "Hunter2!"},
        ],
    )
    def test_nobody_gets_powers_by_what_a_source_says(self, scim: Scim, said: dict[str, Any]) -> None:
        key = scim.add(**said)
        scim.put(f"/Users/{key}", person(**said))
        scim.patch(
            f"/Users/{key}", {"op": "add", "value": {name: value for name, value in said.items() if name != "id"}}
        )
        user = scim.user(key)
        assert (user.is_staff, user.is_superuser, user.has_usable_password()) == (False, False, False)
        assert not user.user_permissions.exists()
        assert not user.groups.exists()
        assert (user.email_verified, user.claims, user.user_metadata) == (False, {}, {})
        assert not Membership.objects.filter(user=user).exists()
        assert user.user_id == "okta|acme-okta|00uann"

    @pytest.mark.parametrize(
        "path", ["is_staff", "is_superuser", "roles", "email_verified", "app_metadata", "password"]
    )
    @pytest.mark.parametrize("schema", ["", f"{USER}:", "urn:curfew:2.0:User:"])
    def test_nor_by_a_path(self, scim: Scim, schema: str, path: str) -> None:
        key = scim.add()
        for value in (True, "admin", [{"value": "admin"}], {"admin": True}):
            answer = scim.patch(f"/Users/{key}", {"op": "add", "path": f"{schema}{path}", "value": value})
            assert answer.status in (200, 400), answer.body
        user = scim.user(key)
        assert (user.is_staff, user.is_superuser, user.email_verified) == (False, False, False)
        assert not user.has_usable_password()

    def test_a_source_takes_over_nobody_of_another_connection(self, scim: Scim) -> None:
        mary = make_user("mary@fabrikamcorp.com")
        key = scim.add("mary@fabrikamcorp.com", externalId=mary.user_id)
        assert scim.user(key) != mary
        mary.refresh_from_db()
        assert mary.name == "Mary"

    def test_an_id_that_signs_somebody_in_is_given_to_nobody_else(self, scim: Scim) -> None:
        scim.add()
        answer = scim.post("/Users", person("eve@acme.example", externalId="00uann"))
        assert (answer.status, answer["scimType"]) == (409, "uniqueness")
        eve = scim.add("eve@acme.example")
        answer = scim.patch(f"/Users/{eve}", {"op": "replace", "path": "externalId", "value": "00uann"})
        assert answer.status == 409
        assert User.objects.filter(user_id__startswith="okta|").count() == 2


class TestFilters:
    @pytest.mark.parametrize(
        ("condition", "status"),
        [
            ('userName eq "x\' OR 1=1 --"', 200),
            ('userName eq "%"', 200),
            ('userName co "%"', 200),
            ('userName sw "_"', 200),
            ('userName eq "x" or 1 eq 1', 400),
            ("userName", 400),
            ('user__password eq "x"', 400),
            ('identity__user__password sw "p"', 400),
            ('password sw "p"', 400),
            ('userName eq "x"; DROP TABLE', 400),
            ('userName eq "a\\u0000b"', 400),
            ("(" * 3000, 400),
            ("not (" * 60 + 'userName eq "x"' + ")" * 60, 400),
            ('userName eq "' + "x" * 5000 + '"', 400),
            ('meta.created gt "yesterday"', 400),
            ("active gt true", 400),
            ("userName eq 5", 400),
            ("userName eq null", 200),
        ],
    )
    def test_nothing_but_the_filter_is_read(self, scim: Scim, condition: str, status: int) -> None:
        scim.add()
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": condition}
        answer = scim.post("/Users/.search", body)
        assert answer.status == status, answer.body
        if status == 200:
            assert answer["totalResults"] == 0
        else:
            assert (answer["schemas"], answer.body.get("scimType")) == (ERROR, "invalidFilter")


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"5",
            b'"x"',
            b"\xff\xfe",
            b'{"schemas":[]}',
            b'{"schemas":["x"],"userName":"a"}',
            json.dumps({"schemas": [USER], "userName": None}).encode(),
            json.dumps({"schemas": [USER], "userName": ""}).encode(),
            json.dumps({"schemas": [USER], "userName": "x" * 300}).encode(),
            json.dumps({"schemas": [USER], "userName": "a\x00b"}).encode(),
            json.dumps(person(displayName="a\x00b")).encode(),
            json.dumps(person(externalId="x" * 300)).encode(),
            json.dumps(person(emails="x")).encode(),
            json.dumps(person(emails=[5])).encode(),
            json.dumps(person(active="maybe")).encode(),
            json.dumps(person(name=[])).encode(),
            json.dumps(person(nickName="x" * 70_000)).encode(),
            b'{"a":' * 5000 + b"1" + b"}" * 5000,
            b'{"schemas":["' + USER.encode() + b'"],"userName":"\\ud800"}',
        ],
    )
    def test_a_person_gets_an_error_in_scim(self, scim: Scim, body: bytes) -> None:
        for answer in (scim.post("/Users", body), scim.put(f"/Users/{scim.add('ben@acme.example')}", body)):
            assert (answer.status, answer["schemas"]) == (400, ERROR), answer.body
            scim.delete(f"/Users/{ProvisionedUser.objects.filter(deleted_at=None).get().public_id}") if (
                ProvisionedUser.objects.filter(deleted_at=None).exists()
            ) else None

    @pytest.mark.parametrize(
        "operations",
        [
            None,
            5,
            [],
            ["x"],
            [{}],
            [{"op": "destroy", "path": "active", "value": 1}],
            [{"op": "replace", "path": "active", "value": "maybe"}],
            [{"op": "replace", "path": "active["}],
            [{"op": "replace", "path": 5, "value": 5}],
            [{"op": "remove"}],
            [{"op": "replace", "value": "x"}],
            [{"op": "replace", "path": "userName", "value": ""}],
            [{"op": "remove", "path": "userName"}],
            [{"op": "replace", "path": "id", "value": "x"}],
            [{"op": "replace", "path": "emails[type eq", "value": "x"}],
            [{"op": "replace", "path": 'emails[type eq "x" or type eq "y"].value', "value": "x"}],
        ],
    )
    def test_a_patch_gets_an_error_in_scim_and_changes_nothing(self, scim: Scim, operations: Any) -> None:
        key = scim.add()
        before = scim.get(f"/Users/{key}").body
        answer = scim.send("PATCH", f"/Users/{key}", {"schemas": [PATCH], "Operations": operations})
        assert (answer.status, answer["schemas"]) == (400, ERROR), answer.body
        assert scim.get(f"/Users/{key}").body == before

    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "add", "path": "members", "value": [5]},
            {"op": "add", "path": "members", "value": [{"value": {}}]},
            {"op": "replace", "path": 'members[value eq "x"].value', "value": "y"},
            {"op": "remove", "path": 'members[display sw "x"]'},
            {"op": "replace", "path": "displayName", "value": ""},
            {"op": "replace", "path": "displayName", "value": "x" * 600},
            {"op": "add", "path": "members", "value": [{"value": "x", "type": "Group"}]},
        ],
    )
    def test_a_group_too(self, scim: Scim, operation: Any) -> None:
        key = scim.add()
        group = scim.add_group("Staff", key)
        answer = scim.patch(f"/Groups/{group}", operation)
        assert (answer.status, answer["schemas"]) == (400, ERROR), answer.body
        assert [member["value"] for member in scim.get(f"/Groups/{group}")["members"]] == [key]

    def test_paths_methods_and_media_types(self, scim: Scim) -> None:
        statuses = {
            ("GET", "/Nothing"): 404,
            ("GET", "/Users" + "/a/b/c"): 404,
            ("GET", "/Users/%00"): 404,
            ("GET", "/Users/%F0%9F%92%A9"): 404,
            ("DELETE", "/Users"): 405,
            ("TRACE", "/Users"): 405,
            ("GET", "/Me"): 501,
            ("GET", "/Users?count=x"): 400,
            ("GET", "/Users?cursor=abc"): 400,
            ("GET", "/Users?attributes=nope.nope"): 200,
            ("GET", "/Users?sortBy=userName"): 501,
            ("GET", "/Users?startIndex=99999999999999999999"): 200,
            ("GET", "/Users?count=-5"): 200,
        }
        found = {(method, path): scim.send(method, path).status for method, path in statuses}
        assert found == statuses
        scim.content_type = "text/html"
        answer = scim.post("/Users", person())
        assert (answer.status, answer["schemas"]) == (415, ERROR)

    def test_a_refused_write_is_in_the_evidence(self, scim: Scim) -> None:
        scim.add()
        scim.post("/Users", person())
        line = SessionEvent.objects.get(type="scim_refused")
        assert (line.data["status"], line.data["what"], line.actor) == (409, "POST Users", "scim:acme-okta")


def test_too_many_requests_a_second_are_told_when_to_come_again(scim: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.scim.endpoint.PACE", Pace(a_second=1, at_once=2))
    statuses = [scim.get("/Users") for _ in range(4)]
    assert statuses[-1].status == 429
    assert statuses[-1].headers["Retry-After"] == "1"
    assert statuses[-1]["schemas"] == ERROR
    assert PACE is not None
