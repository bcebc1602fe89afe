"""What administrators see and do of provisioning."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from idp.models import Provisioning, ProvisioningToken, User
from logout_app.ending.end import Selection
from logout_app.models import LogoutDelivery, LogoutEvent
from logout_app.reauthentication.require import require_reauthentication
from tests.protocol.scim.support import Scim
from tests.support.factories import browser, make_application, make_connection, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def admin() -> Any:
    return browser(make_session(make_user("root@fabrikamcorp.com", is_staff=True, is_superuser=True)))


def page(admin: Any, connection: Any) -> str:
    return str(admin.get(reverse("admin:idp_connection_change", args=(connection.pk,))).content.decode())


def act(admin: Any, connection: Any, name: str, **data: Any) -> Any:
    return admin.post(reverse("admin:idp_connection_act", args=(connection.pk, name)), data, follow=True)


def test_from_nothing_to_a_token_and_back(admin: Any) -> None:
    connection = make_connection("acme-okta", "okta")
    assert "New provisioning token" not in page(admin, connection)
    act(admin, connection, "provision")
    shown = act(admin, connection, "provision-token", scopes=["get:users"], lifetime="2592000").content.decode()
    raw = re.search(r"tok_[0-9a-f]{16}\.[0-9a-f]{64}", shown)
    assert raw is not None
    assert f"/scim/v2/connections/{connection.public_id}" in shown
    row = ProvisioningToken.objects.get()
    assert (row.scopes, row.valid_until is not None) == (["get:users"], True)
    assert raw[0] not in page(admin, connection)
    assert row.token_id in page(admin, connection)
    act(admin, connection, "provision-remove-token", token=row.token_id)
    assert not ProvisioningToken.objects.exists()
    act(admin, connection, "provision-off")
    assert "Off: nobody writes" in page(admin, connection)


def test_a_database_has_no_provisioning(admin: Any) -> None:
    assert "Turn on provisioning" not in page(admin, make_connection())


def test_a_new_required_group_ends_whoever_is_outside(admin: Any, scim: Scim) -> None:
    ann, ben = scim.add(), scim.add("ben@acme.example")
    scim.add_group("Staff", ann)
    session = make_session(scim.user(ben))
    answer = act(admin, scim.connection, "provision-how", sign_in_by="externalId", required_group="Staff")
    assert "1 person" in answer.content.decode()
    session.refresh_from_db()
    assert session.end_initiator == "deprovisioned"
    assert scim.user(ann).is_active
    assert not scim.user(ben).is_active


def test_the_page_says_what_was_done_and_how_long_it_took_to_tell(admin: Any, scim: Scim) -> None:
    key = scim.add()
    make_session(scim.user(key), make_application(backchannel_logout_uri="https://jwt-debugger.example/bcl"))
    scim.patch(f"/Users/{key}", {"op": "replace", "value": {"active": False}})
    scim.post("/Users", {})
    shown = page(admin, scim.connection)
    assert "okta|acme-okta|00uann is out (active is false): 1 session ended. 1 of 1 deliveries are under way." in shown
    assert "Created: okta|acme-okta|00uann" in shown
    assert "Refused POST Users with 400" in shown
    LogoutDelivery.objects.update(finished_at=timezone.now(), state="delivered")
    shown = page(admin, scim.connection)
    assert len(re.findall(r"Everybody was told after \d+\.\d s\.", shown)) == 2  # at the request, and as the lag


def test_a_persons_page_says_who_owns_them_and_refuses_changes(admin: Any, scim: Scim) -> None:
    key = scim.add()
    user = scim.user(key)
    url = reverse("admin:idp_user_change", args=(user.pk,))
    shown = admin.get(url).content.decode()
    assert "cme-okta provisions this person (SCIM)" in shown
    assert 'name="email"' not in shown
    admin.post(url, {"email": "eve@evil.example", "name": "Eve", "is_staff": ""})
    assert User.objects.get(pk=user.pk).email == "ann@acme.example"
    scim.patch(f"/Users/{key}", {"op": "replace", "value": {"active": False}})
    shown = admin.get(url).content.decode()
    assert "cme-okta keeps this person out" in shown
    admin.post(reverse("admin:idp_user_act", args=(user.pk, "unblock")))
    assert not User.objects.get(pk=user.pk).is_active


def test_a_persons_page_says_what_ended_them_and_by_which_account_they_are_owned(admin: Any, scim: Scim) -> None:
    key = scim.add()
    user = scim.user(key)
    make_session(user)
    shown = " ".join(person_page(admin, user).split())
    assert "Provisioned (SCIM) as" in shown
    assert ", let in" in shown
    assert "Last ended" not in shown
    scim.patch(f"/Users/{key}", {"op": "replace", "value": {"active": False}})
    shown = person_page(admin, user)
    url = reverse("admin:logout_app_logoutevent_change", args=(LogoutEvent.objects.get().pk,))
    assert re.search(rf'the provisioning of acme-okta\W*\(\W*deprovisioned\W*\)\. <a href="{url}">', shown)
    assert ", kept out" in shown
    assert re.search(r"<strong>\W*Deprovisioned\W*</strong>", shown)
    assert "active is false" in shown


def test_what_ends_nothing_is_not_what_ended_them(admin: Any, scim: Scim) -> None:
    user = scim.user(scim.add())
    session = make_session(user, make_application(reauthentication_uri="https://app.example/again"))
    require_reauthentication(Selection.session(session.pk), actor="upstream:acme-okta", at=timezone.now())
    shown = person_page(admin, user)
    assert LogoutEvent.objects.exists()
    assert "Last ended" not in shown
    assert "Must be proved again before it opens anything." in shown


def person_page(admin: Any, user: User) -> str:
    return str(admin.get(reverse("admin:idp_user_change", args=(user.pk,))).content.decode())


def test_the_command_prints_address_and_token_once() -> None:
    connection = make_connection("acme-okta", "okta")
    out = io.StringIO()
    call_command("create_scim_token", "acme-okta", "--scopes", "get:users", "--lifetime", "900", stdout=out)
    base, token = out.getvalue().split()
    assert base.endswith(f"/scim/v2/connections/{connection.public_id}")
    assert base.startswith("SCIM_BASE=")
    scim = Scim(connection, token.removeprefix("SCIM_TOKEN="))
    assert scim.get("/Users").status == 200
    assert Provisioning.objects.get().sign_in_by == "externalId"


@pytest.mark.parametrize("arguments", [("nobody",), ("FabrikamAD",), ("acme", "--scopes", "everything")])
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...]) -> None:
    make_connection()
    make_connection("acme", "okta")
    with pytest.raises(CommandError):
        call_command("create_scim_token", *arguments)
