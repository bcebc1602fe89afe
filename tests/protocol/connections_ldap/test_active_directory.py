"""Sign-in against a real Active Directory domain (Samba): names, groups, and the reasons that it gives."""

from __future__ import annotations

import uuid

import pytest
from django.utils import timezone

from idp.connections import registry
from idp.connections.contract import UpstreamRefused
from idp.models import User
from sessions_app.models import SessionEvent
from tests.protocol.connections_ldap.conftest import change
from tests.support.factories import browser, make_application, make_session
from tests.support.sign_in import csrf_client, session_of, sign_in_by_form
from tests.support.upstreams.samba import DOMAIN, PASSWORD, SUFFIX

pytestmark = pytest.mark.once


def verify(connection, login, password=PASSWORD):
    return registry.PASSWORD_PROTOCOLS["ad"].verify(connection, login, password, timezone.now())


def refused(connection, login, password=PASSWORD):
    with pytest.raises(UpstreamRefused) as refusal:
        verify(connection, login, password)
    return refusal.value


def test_mary_is_known_by_her_object_guid(fabrikam, domain):
    identity = verify(fabrikam, "mary")

    shown = domain.tool("user", "show", "mary", "--attributes=objectGUID")
    assert f"objectGUID: {identity.sub}\n" in shown
    assert identity.sub == str(uuid.UUID(identity.sub))
    assert identity.user.user_id == f"ad|FabrikamAD|{identity.sub}"
    assert (identity.user.email, identity.user.email_verified) == ("mary@fabrikamcorp.com", False)
    assert (identity.user.name, identity.user.family_name, identity.user.nickname) == (
        "Mary Fabrikam",
        "Fabrikam",
        "mary",
    )
    assert identity.profile["preferred_username"] == "mary@ad.test"
    assert identity.profile["groups"] == [f"CN=Timesheets,CN=Users,{SUFFIX}"]


def test_every_way_to_write_a_name_is_one_identity(fabrikam):
    names = (
        "mary",
        "MARY",
        "mary ",
        f"{DOMAIN}\\mary",
        f"{DOMAIN.lower()}\\Mary",
        "mary@ad.test",
        "mary@fabrikamcorp.com",
    )
    assert len({verify(fabrikam, name).pk for name in names}) == 1
    assert User.objects.count() == 1


@pytest.mark.parametrize("name", ["OTHER\\mary", "ad\\mary", "*\\mary", f"{DOMAIN}\\", "\\mary", f"{DOMAIN}\\mary@ad.test",
                                  f"{DOMAIN}\\{DOMAIN}\\mary", "m\u00e1ry", "ma ry"])  # fmt: skip
def test_other_spellings_are_nobody(fabrikam, name):
    """Another domain, no domain, and what Active Directory itself might take for the same letters."""
    assert verify(fabrikam, name) is None


def test_wrong_and_empty_passwords_and_unknown_names_are_nobody(fabrikam):
    """Active Directory says 52e to all of them."""
    assert verify(fabrikam, "john", "wrong") is None
    assert verify(fabrikam, "john", "") is None
    assert verify(fabrikam, "nobody") is None
    assert verify(fabrikam, "john") is not None


def test_computers_are_nobody(fabrikam):
    assert verify(fabrikam, "DC1$") is None


def test_a_disabled_account_is_told_so_with_the_right_password_only(fabrikam, domain):
    """Code 533: a guesser learns nothing."""
    domain.tool("user", "disable", "dora")
    try:
        assert verify(fabrikam, "dora", "wrong") is None
        assert "is disabled" in refused(fabrikam, "dora").sentence
    finally:
        domain.tool("user", "enable", "dora")


def test_somebody_who_must_change_the_password_is_told_so_with_the_right_password_only(fabrikam, domain):
    """Code 773."""
    domain.tool("user", "setpassword", "newbie", f"--newpassword={PASSWORD}2", "--must-change-at-next-login")
    assert verify(fabrikam, "newbie", "wrong") is None
    assert "must change your password" in refused(fabrikam, "newbie", f"{PASSWORD}2").sentence


def test_an_account_that_has_expired_is_told_so_with_the_right_password_only(fabrikam, domain):
    """Code 701."""
    domain.tool("user", "setexpiry", "expired", "--days=-1")
    assert verify(fabrikam, "expired", "wrong") is None
    assert "has expired" in refused(fabrikam, "expired").sentence


def test_a_locked_account_is_told_so_as_the_directory_tells_everybody(fabrikam, domain):
    """Code 775: it comes whatever the password is."""
    for _ in range(3):
        assert verify(fabrikam, "locky", "wrong") is None
    assert "is locked" in refused(fabrikam, "locky").sentence
    assert refused(fabrikam, "locky", "wrong").sentence == refused(fabrikam, "locky").sentence


def test_who_left_the_group_that_the_filter_asks_for_stays_out(fabrikam, domain):
    """By memberOf."""
    change(fabrikam, user_filter=f"(&(sAMAccountName={{login}})(memberOf=CN=Timesheets,CN=Users,{SUFFIX}))")
    assert verify(fabrikam, "mary") is not None
    assert verify(fabrikam, "john") is None


def test_referrals_to_other_parts_of_the_forest_are_not_followed(fabrikam):
    """Below the domain's root every search comes back with three of them, to a host that does not exist."""
    assert verify(fabrikam, "mary") is not None


def test_starttls_works_as_well(fabrikam, domain):
    change(fabrikam, servers=[f"ldap://{domain.address}"], start_tls=True)
    assert verify(fabrikam, "mary") is not None


def test_single_sign_on_data_is_the_literal_answer_of_the_seed(fabrikam):
    """The seed's page, with `strategy: "ad"`."""
    applications = [
        make_application(name, client_id=client_id)
        for name, client_id in (
            ("JWT Debugger", "ATqGIGvsX5d9AWiOypgPOEBGkOVbrf55"),
            ("Timesheet SaaS", "ZDC7qh6mcXaQT6ilyiTWPmmfFI7L0aTs"),
            ("SharePoint Intranet", "bOFty3tWgpijnwMcltysNFqHgO1ziz1I"),
        )
    ]
    client = csrf_client()
    response = sign_in_by_form(client, f"{DOMAIN}\\mary", PASSWORD)
    assert (response.status_code, response["Location"]) == (302, "/")
    for application in applications:
        query = {"client_id": application.client_id, "response_type": "code", "redirect_uri": application.callbacks[0]}
        assert "code=" in client.get("/authorize", query)["Location"]

    assert client.get("/user/ssodata").json() == {
        "sso": True,
        "sessionClients": [
            "ATqGIGvsX5d9AWiOypgPOEBGkOVbrf55",
            "ZDC7qh6mcXaQT6ilyiTWPmmfFI7L0aTs",
            "bOFty3tWgpijnwMcltysNFqHgO1ziz1I",
        ],
        "lastUsedClientID": "bOFty3tWgpijnwMcltysNFqHgO1ziz1I",
        "lastUsedUsername": "mary@fabrikamcorp.com",
        "lastUsedConnection": {"name": "FabrikamAD", "strategy": "ad"},
    }


def test_the_login_page_says_why_and_opens_nothing(fabrikam, domain):
    domain.tool("user", "disable", "dora")
    try:
        client = csrf_client()
        response = sign_in_by_form(client, "dora", PASSWORD)
        assert "is disabled in the directory" in response.content.decode()
        assert session_of(client) is None
        event = SessionEvent.objects.get(type="sign_in_failed")
        assert (event.connection, event.data) == ("FabrikamAD", {"reason": "the directory says 533"})
    finally:
        domain.tool("user", "enable", "dora")


def test_a_person_whom_we_blocked_stays_out_with_the_right_password(fabrikam):
    identity = verify(fabrikam, "john")
    User.objects.filter(pk=identity.user_id).update(is_active=False)
    client = csrf_client()
    response = sign_in_by_form(client, "john", PASSWORD)
    assert "an administrator has blocked your account" in response.content.decode()
    assert session_of(client) is None


def test_who_proves_it_again_does_so_with_the_password_of_the_directory(fabrikam):
    identity = verify(fabrikam, "mary")
    client = browser(make_session(identity.user, identity=identity, connection=fabrikam), enforce_csrf_checks=False)
    assert client.post("/account/reauthenticate/", {"password": "wrong"}).status_code == 200
    assert client.post("/account/reauthenticate/", {"password": PASSWORD}).status_code == 302
