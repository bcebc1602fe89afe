"""Whoever may change what a connection trusts could sign in as everybody who comes through it: the attacks, and the trail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from idp.connections import trust
from idp.connections.contract import Account
from idp.connections.options import COSMETIC, KEYS, SECRETS
from idp.connections.saml import metadata_cache
from idp.connections.trust import ConnectionChange
from idp.models import Connection, Identity, User
from idp.people import identities
from idp.tenants.changes import Author
from sessions_app.models import SessionEvent
from tests.protocol.admin.test_connections import FULL, add_url, change_url, shown
from tests.protocol.connections_saml.conftest import Way
from tests.support.factories import PASSWORD, make_connection, make_user
from tests.support.upstreams.scripted_saml import ScriptedIdp, the_key

pytestmark = pytest.mark.django_db
CLERK, TIRED = Author(is_superuser=False, is_fresh=True), Author(is_superuser=True, is_fresh=False)
BOSS = Author(is_superuser=True, is_fresh=True)
OTHER = "https://evil.example/"


@pytest.fixture(autouse=True)
def _no_cached_metadata() -> Iterator[None]:
    metadata_cache.clear()
    yield
    metadata_cache.clear()


def signs_in_through(connection: Connection, sub: str = "mary", **powers: bool) -> User:
    """Somebody from upstream, who was given powers here."""
    account = Account(sub=sub, email=f"{sub}@{connection.name}.example".lower(), email_verified=True)
    person = identities.receive(connection, account, at=timezone.now()).user
    User.objects.filter(pk=person.pk).update(**(powers or {"is_staff": True, "is_superuser": True}))
    return person


@pytest.fixture
def way() -> Way:
    """Superusers sign in by SAML."""
    idp = ScriptedIdp()
    connection = make_connection("Acme", "samlp", options={"metadataXml": idp.metadata()})
    signs_in_through(connection)
    return Way(connection, idp, timezone.now())


def form_errors(response: Any) -> str:
    return str(response.context["adminform"].form.errors)


def changes() -> list[dict[str, Any]]:
    rows = SessionEvent.objects.filter(type="connection_changed").order_by("pk")
    return [line for row in rows for line in row.data["changes"]]


def act_url(connection: Connection, name: str) -> str:
    return reverse("admin:idp_connection_act", args=(connection.pk, name))


# --- the attacks -----------------------------------------------------------------------------------------------------------
def test_who_may_change_connections_does_not_become_superuser_by_metadata_of_their_own(clerk: Client, way: Way) -> None:
    evil = ScriptedIdp(the_key("evil.example"))
    url = change_url(way.connection)
    response = clerk.post(url, shown(clerk, url) | {"metadataXml": evil.metadata()})
    assert "Only a superuser may change this (metadataXml)" in form_errors(response)
    assert Connection.objects.get(pk=way.connection.pk).options == way.connection.options
    assert way.arrive(way.idp.answer(way.says())).sub == "mary"
    assert way.refused(evil.answer(way.says()))
    assert changes() == []


@pytest.mark.parametrize("powers", [{"is_staff": True}, {"is_superuser": True}, {"is_staff": True, "is_active": False}])
def test_powers_of_any_kind_guard_the_connection_also_of_somebody_blocked(
    clerk: Client, powers: dict[str, Any]
) -> None:
    connection = make_connection("Acme", "okta", options={"domain": "acme.okta.com", "client_id": "0oa1"})
    signs_in_through(connection, **powers)
    url = change_url(connection)
    assert "Only a superuser" in form_errors(clerk.post(url, shown(clerk, url) | {"domain": "evil.okta.com"}))


def different(value: Any) -> Any:
    return [*value, OTHER] if isinstance(value, list) else OTHER if value is not True else False


@pytest.mark.parametrize(
    ("strategy", "option"), [(s, o) for s in KEYS for o in sorted(KEYS[s] - COSMETIC)], ids=lambda value: str(value)
)
def test_every_option_but_looks_is_guarded(strategy: str, option: str) -> None:
    """Walks the table of options: one that is added tomorrow is guarded before anybody thinks of it."""
    options = FULL.get(strategy, {})
    connection = make_connection("Acme", strategy, options=options, sealed_options=dict.fromkeys(SECRETS, "v1.x.y"))
    make_user("boss@fabrikamcorp.com", connection, is_superuser=True)
    given = frozenset({option} & SECRETS)
    new = options if given else {**options, option: different(options.get(option))}
    for author, needs_proof in ((CLERK, False), (TIRED, True)):
        refused = trust.refusal(ConnectionChange(connection, new, given=given), author)
        assert refused is not None
        assert refused.needs_proof is needs_proof
        assert option in refused.sentence
    if given:
        assert trust.refusal(ConnectionChange(connection, options, removed=given), CLERK)
    assert trust.refusal(ConnectionChange(connection, new, given=given), BOSS) is None


@pytest.mark.parametrize("strategy", KEYS)
def test_looks_are_changed_by_whoever_may_change_connections(clerk: Client, strategy: str) -> None:
    """Also that saving what a page shows counts as no change, however a form writes it down."""
    connection = make_connection("Acme", strategy, options=FULL.get(strategy) or MINIMAL[strategy])
    make_user("boss@fabrikamcorp.com", connection, is_superuser=True)
    url = change_url(connection)
    assert "superusers only" in clerk.get(url).content.decode()
    response = clerk.post(url, shown(clerk, url) | {"display_name": "Acme Corporation"})
    assert response.status_code == 302, form_errors(response)
    assert Connection.objects.get(pk=connection.pk).display_name == "Acme Corporation"
    assert changes() == []


MINIMAL: dict[str, dict[str, Any]] = {
    "auth0": {},
    "okta": {"domain": "acme.okta.com", "client_id": "0oa1"},
    "google-oauth2": {"client_id": "c"},
    "adfs": {"adfs_server": "adfs.example.com", "client_id": "c"},
}


def test_line_ends_of_a_browser_are_no_change(clerk: Client, way: Way) -> None:
    way.configure(metadataXml=way.idp.metadata().replace("><", ">\n<"), signingCert=[way.idp.key.certificate])
    url = change_url(way.connection)
    typed = shown(clerk, url)
    data = {name: value.replace("\n", "\r\n") if isinstance(value, str) else value for name, value in typed.items()}
    assert clerk.post(url, data).status_code == 302
    assert changes() == []


def test_a_connection_that_nobody_with_powers_uses_is_changed_by_staff_and_the_trail_says_so(clerk: Client) -> None:
    connection = make_connection("Acme", "okta", options={"domain": "acme.okta.com", "client_id": "0oa1"})
    url = change_url(connection)
    assert clerk.post(url, shown(clerk, url) | {"domain": "new.okta.com"}).status_code == 302
    assert changes() == [{"what": "domain", "from": "acme.okta.com", "to": "new.okta.com"}]


@pytest.mark.parametrize("act", ["enable", "disable"])
def test_opening_and_closing_a_guarded_connection_is_a_superusers(clerk: Client, way: Way, act: str) -> None:
    Connection.objects.filter(pk=way.connection.pk).update(enabled=act == "disable")
    page = clerk.get(change_url(way.connection)).content.decode()
    assert act_url(way.connection, act) not in page
    assert act_url(way.connection, "test") in page
    assert clerk.post(act_url(way.connection, act)).status_code == 403
    assert Connection.objects.get(pk=way.connection.pk).enabled is (act == "disable")


def test_a_guarded_connection_is_not_deleted_by_staff(clerk: Client) -> None:
    connection = make_connection("Acme", "okta", options={"domain_aliases": ["fabrikamcorp.com"]})
    make_user("boss@fabrikamcorp.com", is_superuser=True)
    url = reverse("admin:idp_connection_delete", args=(connection.pk,))
    assert clerk.post(url, {"post": "yes"}).status_code == 403
    assert Connection.objects.filter(pk=connection.pk).exists()


# --- connections that do not exist yet ---------------------------------------------------------------------------------------
DIRECTORY = {"servers": "ldaps://evil.example", "base_dn": "DC=evil,DC=example", "enabled_for_all": "on"}
OKTA = {"domain": "evil.okta.com", "client_id": "0oa1", "enabled_for_all": "on"}


def test_staff_add_no_directory_to_which_a_superusers_password_would_go(clerk: Client, boss: User) -> None:
    """The first connection with passwords gets what is typed on the login page, and names begin with A."""
    assert "changed by superusers only" in clerk.get(add_url("AAA", "ad")).content.decode()
    response = clerk.post(add_url("AAA", "ad"), DIRECTORY)
    assert "passwords from the login page" in form_errors(response)
    assert not Connection.objects.filter(name="AAA").exists()


def test_staff_add_no_connection_that_claims_a_superusers_address(clerk: Client, boss: User) -> None:
    response = clerk.post(add_url("Acme", "okta"), {**OKTA, "domain_aliases": "FabrikamCorp.com"})
    assert "addresses of people with powers" in form_errors(response)
    connection = make_connection("Mine", "okta", options={"domain": "evil.okta.com", "client_id": "0oa1"})
    url = change_url(connection)
    assert "addresses of people" in form_errors(
        clerk.post(url, shown(clerk, url) | {"domain_aliases": "fabrikamcorp.com"})
    )


def test_a_superusers_address_is_recognised_however_its_umlauts_are_written(clerk: Client) -> None:
    """macOS writes u and two dots where Windows writes one letter; the login page leads both to the connection."""
    make_user("boss@bu\u0308cher.example", is_superuser=True)
    response = clerk.post(add_url("Acme", "okta"), {**OKTA, "domain_aliases": "b\u00fccher.example"})
    stored = make_connection("Old", "okta", options={"domain_aliases": ["B\u00fccher.example"]})
    assert "addresses of people with powers" in trust.concern(stored)
    assert form_errors(response)


def test_staff_add_no_connection_whose_first_account_would_be_a_superuser(clerk: Client) -> None:
    """A superuser whose account was moved away is found by their user id, which has the connection's name in it."""
    signs_in_through(make_connection("Acme", "okta"))
    Identity.objects.filter(connection__name="Acme").delete()
    Connection.objects.filter(name="Acme").delete()
    assert "user id of this connection" in form_errors(clerk.post(add_url("Acme", "okta"), OKTA))
    assert clerk.post(add_url("Acme2", "okta"), OKTA).status_code == 302
    assert changes()[0] == {"what": "connection", "from": "nothing", "to": "one of the strategy okta"}


# --- a superuser --------------------------------------------------------------------------------------------------------------
def test_a_superuser_is_asked_for_a_proof_and_then_saves_what_was_typed(tired_admin: Client, way: Way) -> None:
    url = change_url(way.connection)
    data = shown(tired_admin, url) | {"idpEntityId": "https://new.example/"}
    page = tired_admin.post(url, data).content.decode()
    ask = f"{reverse('account_reauthenticate')}?next={url.replace('/', '%2F')}"
    assert f'href="{ask}"' in page
    assert "https://new.example/" in page
    assert changes() == []
    assert tired_admin.post(ask, {"password": PASSWORD, "next": url}).status_code == 302
    assert tired_admin.post(url, data).status_code == 302
    assert changes() == [{"what": "idpEntityId", "from": "nothing", "to": "https://new.example/"}]


def test_the_trail_says_who_changed_what_from_what_to_what(admin: Client, boss: User, way: Way) -> None:
    other = ScriptedIdp(the_key("next.idp.example"))
    url = change_url(way.connection)
    data = {"metadataXml": other.metadata(), "decryptionKey": "hush-hush", "signingCert": other.key.certificate}
    assert admin.post(url, shown(admin, url) | data).status_code == 302
    event = SessionEvent.objects.get(type="connection_changed")
    assert (event.connection, event.actor, event.ip) == ("Acme", f"admin:{boss.user_id}", "127.0.0.1")
    by_name = {line["what"]: line for line in changes()}
    assert by_name["decryptionKey"] == {"what": "decryptionKey", "from": "nothing", "to": "a secret"}
    assert "metadata of https://idp.example" in by_name["metadataXml"]["from"]
    assert "CN=idp.example SHA-256 " in by_name["metadataXml"]["from"]
    assert "CN=next.idp.example SHA-256 " in by_name["metadataXml"]["to"]
    assert by_name["signingCert"]["from"] == "nothing"
    history = admin.get(reverse("admin:idp_connection_history", args=(way.connection.pk,))).content.decode()
    assert "decryptionKey from nothing to a secret" in history
    assert "CN=next.idp.example SHA-256 " in history
    found = admin.get(reverse("admin:sessions_app_sessionevent_changelist"), {"q": "Acme"}).content.decode()
    assert "connection_changed" in found
    story = admin.get(reverse("admin:sessions_app_sessionevent_change", args=(event.pk,))).content.decode()
    assert "CN=next.idp.example SHA-256 " in story
    assert "hush-hush" not in history + story + LogEntry.objects.get().change_message + str(event.data)


def test_a_long_value_is_shown_by_its_digest() -> None:
    stored = Connection(name="Acme", strategy="samlp", options={"metadataXml": "<broken/>"})
    lines = trust.differences(ConnectionChange(stored, {"signingCert": "nonsense", "fieldsMap": {"x": "y" * 1000}}))
    texts = {line.what: line.after for line in lines}
    assert texts["signingCert"].startswith("what is no certificate (")
    assert texts["fieldsMap"].endswith(")")
    assert len(texts["fieldsMap"]) < 250


def test_opening_closing_and_deleting_are_written_down(admin: Client, boss: User) -> None:
    connection = make_connection("Acme", "okta")
    admin.post(act_url(connection, "disable"))
    admin.post(act_url(connection, "enable"))
    admin.post(reverse("admin:idp_connection_delete", args=(connection.pk,)), {"post": "yes"})
    assert changes() == [
        {"what": "enabled", "from": "on", "to": "off"},
        {"what": "enabled", "from": "off", "to": "on"},
        {"what": "connection", "from": "one of the strategy okta", "to": "nothing"},
    ]
    assert {event.actor for event in SessionEvent.objects.filter(type="connection_changed")} == {
        f"admin:{boss.user_id}"
    }


# --- the other ways to become somebody with powers ---------------------------------------------------------------------------
def test_staff_link_no_account_of_theirs_to_a_superuser(clerk: Client, boss: User) -> None:
    connection = make_connection("Mine", "okta")
    account = identities.receive(connection, Account(sub="clerk", email="", email_verified=False), at=timezone.now())
    url = reverse("admin:idp_identity_act", args=(account.pk, "link"))
    assert clerk.post(url, {"person": boss.user_id}).status_code == 403
    assert Identity.objects.get(pk=account.pk).user != boss


@pytest.mark.parametrize("data", [{"email": "clerk@evil.example"}, {"is_superuser": "on"}, {"is_staff": ""}])
def test_staff_change_nothing_of_a_superuser(clerk: Client, boss: User, data: dict[str, str]) -> None:
    response = clerk.post(reverse("admin:idp_user_change", args=(boss.pk,)), {"email": boss.email, **data})
    assert response.status_code == 403
    assert User.objects.get(pk=boss.pk).email == boss.email


def test_staff_give_nobody_powers(clerk: Client) -> None:
    mary = make_user()
    data = {"email": mary.email, "claims": "{}", "is_superuser": "on", "is_staff": "on", "name": "Mary J"}
    assert clerk.post(reverse("admin:idp_user_change", args=(mary.pk,)), data).status_code == 302
    mary.refresh_from_db()
    assert (mary.name, mary.is_staff, mary.is_superuser) == ("Mary J", False, False)


def test_the_address_of_somebody_with_powers_asks_who_is_there_after_an_hour(tired_admin: Client) -> None:
    """Reset mails go to it."""
    other = make_user("other@fabrikamcorp.com", is_staff=True)
    data = {"email": "new@fabrikamcorp.com", "email_verified": "on", "is_staff": "on", "claims": "{}"}
    response = tired_admin.post(reverse("admin:idp_user_change", args=(other.pk,)), data)
    assert "asks who you are" in form_errors(response)
    assert User.objects.get(pk=other.pk).email == "other@fabrikamcorp.com"
