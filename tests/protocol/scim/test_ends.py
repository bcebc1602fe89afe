"""Deprovisioning is an end: of sessions, tokens and sign-in, through the one door, before the answer."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from idp.connections.contract import Account, UpstreamFault
from idp.models import Identity, ProvisionedUser, Provisioning, User
from idp.people import accounts, identities
from idp.scim import tokens
from logout_app.models import LogoutDelivery, LogoutEvent
from sessions_app.models import RefreshTokenFamily, SessionEvent, SSOSession
from tests.protocol.scim.conftest import provisioned
from tests.protocol.scim.support import Scim
from tests.support.factories import make_application, make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
OFF = {"op": "replace", "value": {"active": False}}
ON = {"op": "replace", "value": {"active": True}}


def receive(scim: Scim, sub: str, **profile: Any) -> Identity:
    account = Account(sub=sub, email=profile.pop("email", ""), profile=profile)
    return identities.receive(scim.connection, account, at=timezone.now())


def signed_in(scim: Scim, key: str) -> SSOSession:
    application = make_application(backchannel_logout_uri="https://jwt-debugger.example/bcl")
    user = scim.user(key)
    session = make_session(user, application)
    RefreshTokenFamily.objects.create(
        session=session, user=user, application=application, offline=True, auth_time=timezone.now()
    )
    return session


def deactivate_by_patch(scim: Scim, key: str) -> None:
    assert scim.patch(f"/Users/{key}", OFF).status == 200


def deactivate_as_entra(scim: Scim, key: str) -> None:
    assert scim.patch(f"/Users/{key}", {"op": "Replace", "path": "active", "value": "False"}).status == 200


def deactivate_by_put(scim: Scim, key: str) -> None:
    body = scim.get(f"/Users/{key}").body | {"active": False}
    assert scim.put(f"/Users/{key}", body).status == 200


def deactivate_by_bulk(scim: Scim, key: str) -> None:
    operation = {"method": "PATCH", "path": f"/Users/{key}", "data": {"schemas": [], "Operations": [OFF]}}
    operation["data"]["schemas"] = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
    bulk = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]}
    answer = scim.post("/Bulk", bulk)
    assert answer["Operations"][0]["status"] == "200", answer.body


WAYS = (deactivate_by_patch, deactivate_as_entra, deactivate_by_put, deactivate_by_bulk)


@pytest.mark.parametrize("deactivate", WAYS)
def test_active_false_ends_everything_of_the_person(scim: Scim, deactivate: Any) -> None:
    key = scim.add()
    session = signed_in(scim, key)
    deactivate(scim, key)
    session.refresh_from_db()
    assert (session.end_initiator, session.end_actor) == ("deprovisioned", "scim:acme-okta")
    assert RefreshTokenFamily.objects.get().revoked_at is not None
    delivery = LogoutDelivery.objects.get()
    assert (delivery.channel, delivery.state) == ("backchannel", "pending")
    line = SessionEvent.objects.get(type="scim_deprovisioned")
    assert (line.sub, line.connection, line.actor) == ("okta|acme-okta|00uann", "acme-okta", "scim:acme-okta")
    assert line.data == {"event": LogoutEvent.objects.get().pk, "sessions_ended": 1, "why": "active is false"}
    assert not receive(scim, "00uann").user.is_active


def test_delete_ends_everything_and_the_account_opens_nothing_afterwards(scim: Scim) -> None:
    key = scim.add()
    session = signed_in(scim, key)
    assert scim.delete(f"/Users/{key}").status == 204
    assert LogoutDelivery.objects.get(client_id=session.last_application.client_id).state == "pending"
    assert LogoutEvent.objects.get().initiator == "deprovisioned"
    assert not User.objects.filter(user_id="okta|acme-okta|00uann").exists()
    assert scim.get(f"/Users/{key}").status == 404
    assert scim.delete(f"/Users/{key}").status == 404
    with pytest.raises(UpstreamFault, match="deleted"):
        receive(scim, "00uann")


def test_after_delete_the_same_person_may_be_made_again(scim: Scim) -> None:
    scim.delete(f"/Users/{scim.add()}")
    key = scim.add()
    assert receive(scim, "00uann").user == scim.user(key)
    assert receive(scim, "00uann").user.is_active


def test_who_is_let_in_as_the_account_that_kept_them_out_is_deleted_is_let_in_for_everybody_who_was_told(
    scim: Scim,
) -> None:
    mary, key = make_user(), scim.add()
    accounts.link_identity(Identity.objects.get(sub="00uann"), mary, actor="admin:1", at=timezone.now())
    make_session(mary, make_application(command_endpoint="https://jwt-debugger.example/commands"))
    deactivate_by_patch(scim, key)
    LogoutDelivery.objects.update(state="delivered", finished_at=timezone.now())
    assert scim.delete(f"/Users/{key}").status == 204
    mary.refresh_from_db()
    assert mary.is_active
    commands = LogoutDelivery.objects.filter(channel="command").order_by("pk")
    assert commands.last().sign_out.initiator == "command-reactivate"
    acts = SessionEvent.objects.filter(type="scim_written").order_by("pk").values_list("data__act", flat=True)
    assert acts.last() == "reactivated"


def test_delete_of_a_linked_account_leaves_the_person_their_other_ones(scim: Scim) -> None:
    mary = make_user()
    key = scim.add()
    accounts.link_identity(Identity.objects.get(sub="00uann"), mary, actor="admin:1", at=timezone.now())
    session = make_session(mary)
    assert scim.delete(f"/Users/{key}").status == 204
    session.refresh_from_db()
    mary.refresh_from_db()
    assert session.end_initiator == "deprovisioned"
    assert mary.is_active
    assert not Identity.objects.filter(sub="00uann").exists()


def test_reactivation_revives_no_session(scim: Scim) -> None:
    key = scim.add()
    session = signed_in(scim, key)
    scim.patch(f"/Users/{key}", OFF)
    scim.patch(f"/Users/{key}", ON)
    assert receive(scim, "00uann").user.is_active
    session.refresh_from_db()
    assert not session.is_alive(timezone.now())
    assert RefreshTokenFamily.objects.get().revoked_at is not None
    assert scim.user(key).revoked_before is not None


def test_a_second_deactivation_ends_nothing_twice(scim: Scim) -> None:
    key = scim.add()
    signed_in(scim, key)
    scim.patch(f"/Users/{key}", OFF)
    scim.patch(f"/Users/{key}", OFF)
    assert SessionEvent.objects.filter(type="scim_deprovisioned").count() == 1


def test_an_administrators_block_is_not_undone_by_the_source(scim: Scim) -> None:
    key = scim.add()
    accounts.block_user(scim.user(key), actor="admin:1", at=timezone.now())
    scim.patch(f"/Users/{key}", {"op": "replace", "path": "title", "value": "Engineer"})
    scim.patch(f"/Users/{key}", ON)
    assert not scim.user(key).is_active
    scim.patch(f"/Users/{key}", OFF)
    scim.patch(f"/Users/{key}", ON)
    assert not scim.user(key).is_active


def test_two_sources_of_one_person_must_both_let_them_in(scim: Scim) -> None:
    other = provisioned(make_connection("globex", "okta"))
    key, second = scim.add(), other.add("ann@globex.example")
    linked = Identity.objects.get(provisioned__public_id=second)
    accounts.link_identity(linked, scim.user(key), actor="admin:1", at=timezone.now())
    scim.patch(f"/Users/{key}", OFF)
    other.patch(f"/Users/{second}", OFF)
    scim.patch(f"/Users/{key}", ON)
    assert not scim.user(key).is_active
    other.patch(f"/Users/{second}", ON)
    assert scim.user(key).is_active


class TestRequiredGroup:
    @pytest.fixture
    def group(self, scim: Scim) -> str:
        Provisioning.objects.update(required_group="Staff")
        return scim.add_group("Staff")

    def test_who_is_not_in_it_yet_waits(self, scim: Scim, group: str) -> None:
        key = scim.add()
        assert not receive(scim, "00uann").user.is_active
        assert scim.get(f"/Users/{key}")["active"] is True
        scim.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": key}]})
        assert receive(scim, "00uann").user.is_active

    @pytest.mark.parametrize("way", ["remove", "replace", "put", "delete"])
    def test_who_leaves_it_is_out(self, scim: Scim, group: str, way: str) -> None:
        key = scim.add()
        scim.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": key}]})
        session = signed_in(scim, key)
        path, schema = f"/Groups/{group}", "urn:ietf:params:scim:schemas:core:2.0:Group"
        {
            "remove": lambda: scim.patch(path, {"op": "remove", "path": f'members[value eq "{key}"]'}),
            "replace": lambda: scim.patch(path, {"op": "replace", "path": "members", "value": []}),
            "put": lambda: scim.put(path, {"schemas": [schema], "displayName": "Staff"}),
            "delete": lambda: scim.delete(path),
        }[way]()
        session.refresh_from_db()
        assert session.end_initiator == "deprovisioned"
        assert not scim.user(key).is_active
        assert (
            SessionEvent.objects.filter(type="scim_deprovisioned").latest("pk").data["why"] == "not in the group Staff"
        )

    def test_its_new_name_ends_nothing(self, scim: Scim, group: str) -> None:
        key = scim.add()
        path = f"/Groups/{group}"
        scim.patch(path, {"op": "add", "path": "members", "value": [{"value": key}]})
        scim.patch(path, {"op": "replace", "value": {"displayName": "Crew"}})
        assert scim.user(key).is_active
        scim.patch(path, {"op": "remove", "path": f'members[value eq "{key}"]'})
        assert not scim.user(key).is_active

    def test_other_groups_end_nothing(self, scim: Scim, group: str) -> None:
        key = scim.add()
        scim.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": key}]})
        other = scim.add_group("Chess", key)
        session = signed_in(scim, key)
        scim.delete(f"/Groups/{other}")
        session.refresh_from_db()
        assert session.ended_at is None


class TestWhoTheyAreWhenTheySignIn:
    def test_by_external_id(self, scim: Scim) -> None:
        key = scim.add()
        assert receive(scim, "00uann", preferred_username="ann@acme.example").user == scim.user(key)

    def test_what_the_source_wrote_stands(self, scim: Scim) -> None:
        key = scim.add()
        receive(scim, "00uann", name="Somebody Else", email="ann@acme.example")
        assert (scim.user(key).name, scim.user(key).email) == ("Ann Ames", "ann@acme.example")

    def test_somebody_with_an_external_id_is_not_found_by_name(self, scim: Scim) -> None:
        key = scim.add()
        assert receive(scim, "00uother", preferred_username="ann@acme.example").user != scim.user(key)

    def test_without_external_id_by_the_name_that_okta_answers_for(self, scim: Scim) -> None:
        key = scim.add(externalId="")
        assert receive(scim, "00uann", preferred_username="Ann@acme.example").user == scim.user(key)
        assert receive(scim, "00uann").user == scim.user(key)
        assert receive(scim, "00uben", preferred_username="ann@acme.example").user != scim.user(key)

    def test_by_the_name_that_saml_gives_and_its_change(self) -> None:
        saml = provisioned(make_connection("acme-saml", "samlp"))
        key = saml.add(externalId="4711")
        assert receive(saml, "Ann@acme.example").user == saml.user(key)
        saml.patch(f"/Users/{key}", {"op": "replace", "path": "userName", "value": "ann.b@acme.example"})
        other = saml.add(externalId="4712")  # whoever has the name now
        assert receive(saml, "Ann@acme.example").user == saml.user(other)
        assert receive(saml, "ann.b@acme.example").user == saml.user(key)

    def test_entra_by_upn_and_then_by_object_id(self) -> None:
        entra = provisioned(make_connection("acme-entra", "waad"))
        key = entra.add(externalId="annames")
        assert receive(entra, "oid-1", upn="ann@acme.example").user == entra.user(key)
        entra.patch(f"/Users/{key}", {"op": "Replace", "path": "userName", "value": "ann.b@acme.example"})
        assert receive(entra, "oid-1").user == entra.user(key)
        assert receive(entra, "oid-2", upn="ann.b@acme.example").user != entra.user(key)

    def test_a_stranger_is_refused_where_only_provisioned_people_sign_in(self, scim: Scim) -> None:
        Provisioning.objects.update(only_provisioned=True)
        with pytest.raises(UpstreamFault, match="not provisioned"):
            receive(scim, "00ustranger")
        scim.add()
        assert receive(scim, "00uann").user.is_active

    def test_a_new_external_id_opens_and_the_old_one_does_not(self, scim: Scim) -> None:
        key = scim.add()
        scim.patch(f"/Users/{key}", {"op": "replace", "path": "externalId", "value": "00unew"})
        assert receive(scim, "00unew").user == scim.user(key)
        with pytest.raises(UpstreamFault, match="by another one"):
            receive(scim, "00uann")


def test_switched_off_provisioning_keeps_people_out_and_takes_no_more(scim: Scim) -> None:
    key = scim.add()
    scim.patch(f"/Users/{key}", OFF)
    tokens.switch_off(Provisioning.objects.get(), actor="admin:1", at=timezone.now())
    assert scim.get("/Users").status == 401
    assert ProvisionedUser.objects.get().is_blocked
    assert not scim.connection.identities.get().user.is_active
