"""A new connection is closed; it is tested, an administrator signs in through it as themselves, and then it is enabled."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from idp.connections import registry
from idp.connections.contract import Account, UpstreamFault, UpstreamRefused
from idp.models import Connection, Group, Identity, User
from sessions_app.models import FlowState, SessionEvent, SSOSession
from tests.protocol.admin.conftest import clerk_with
from tests.support import upstream
from tests.support.factories import browser, make_connection, make_session, make_user
from tests.support.upstream import URL, SaysSo, come_back

pytestmark = pytest.mark.django_db
ADELE = Account(
    sub="00u1",
    email="Adele@Acme.example",
    profile={"name": "Adele Vance", "groups": ["staff", "<b>admins</b>"], "hd": "acme.example"},
)


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> SaysSo:
    says = SaysSo(ADELE)
    monkeypatch.setitem(registry.REDIRECT_PROTOCOLS, "oidc", says)  # type: ignore[arg-type]  # a dict in truth
    return says


@pytest.fixture
def closed() -> Connection:
    return make_connection("Acme", "oidc", display_name="Acme Login", enabled=False)


def way_to(connection: Connection, act: str = "try") -> str:
    return reverse("admin:idp_connection_act", args=(connection.pk, act))


def page_of(admin: Client, connection: Connection) -> str:
    return admin.get(reverse("admin:idp_connection_change", args=(connection.pk,))).content.decode()


def depart(admin: Client, connection: Connection) -> str:
    """The state with which the browser was led upstream: by a page, as a form's policy ends at our origin."""
    response = admin.post(way_to(connection))
    assert response.status_code == 200
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', response.content.decode())
    assert found is not None
    address = found[1].replace("&amp;", "&")
    assert address.startswith(f"{URL}?")
    return parse_qs(urlsplit(address).query)["state"][0]


def attempt(admin: Client, connection: Connection) -> HttpResponse:
    return come_back(admin, depart(admin, connection))


def everything() -> dict[str, Any]:
    return {
        "people": list(User.objects.values_list("pk", "last_login", "updated_at")),
        "identities": list(Identity.objects.values_list("pk", "last_login_at", "profile")),
        "groups": list(Group.objects.values_list("pk")),
        "sessions": list(SSOSession.objects.values_list("pk", "auth_time", "ended_at")),
        "trail": SessionEvent.objects.count(),
    }


def test_a_connection_is_added_closed_and_its_page_says_what_comes_next(admin: Client, says: SaysSo) -> None:
    url = f"{reverse('admin:idp_connection_add')}?strategy=oidc&name=acme"
    form = {"client_id": "c", "discovery_url": "https://acme.example/.well-known/openid-configuration"}
    response = admin.post(url, {**form, "enabled_for_all": "on"}, follow=True)
    connection = Connection.objects.get(name="acme")
    assert not connection.enabled
    page = response.content.decode()
    assert "is kept, and closed" in page
    steps = page.partition("Before people meet it")[2].partition("</section>")[0]
    assert [steps.index(way_to(connection, act)) for act in ("test", "try", "enable")] == sorted(
        steps.index(way_to(connection, act)) for act in ("test", "try", "enable")
    )
    assert "Done" not in steps
    login = Client().get("/login").content.decode()
    assert "/login/upstream/acme" not in login
    assert Client().get("/login/upstream/acme").status_code == 400


def test_the_administrator_sees_what_would_come_and_nothing_is_written(
    admin: Client, says: SaysSo, closed: Connection
) -> None:
    state, before = depart(admin, closed), everything()
    response = come_back(admin, state)
    assert response.status_code == 200
    page = response.content.decode()
    for said in ("00u1", "Adele@Acme.example, not verified", "Adele Vance", "staff", "Nobody yet", "acme.example"):
        assert said in page, said
    assert "<b>admins" not in page
    assert everything() == before
    assert not {"curfew_sso"} & response.cookies.keys()
    assert "✓ Done" in page_of(admin, closed)
    assert (
        "Signed in through it as a test: 00u1"
        in admin.get(reverse("admin:idp_connection_history", args=(closed.pk,))).content.decode()
    )


def test_who_is_known_already_is_named(admin: Client, says: SaysSo, closed: Connection) -> None:
    mary = make_user()
    Identity.objects.create(user=mary, connection=closed, sub="00u1")
    assert "mary@fabrikamcorp.com, who is known here" in attempt(admin, closed).content.decode()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UpstreamRefused("You are not assigned.", detail="access_denied by policy"), "access_denied by policy"),
        (UpstreamFault("the ID token is signed by none of its keys"), "signed by none of its keys"),
    ],
)
def test_what_went_wrong_is_said_in_full(
    admin: Client, says: SaysSo, closed: Connection, error: Exception, said: str
) -> None:
    says.error = error
    page = attempt(admin, closed).content.decode()
    assert "It did not work" in page
    assert said in page
    assert "✓ Done" not in page_of(admin, closed)


def test_an_upstream_that_cannot_be_reached_is_said_before_anybody_leaves(
    admin: Client, says: SaysSo, closed: Connection
) -> None:
    says.departing = UpstreamFault("its discovery document has no token_endpoint")
    page = admin.post(way_to(closed)).content.decode()
    assert "its discovery document has no token_endpoint" in page
    assert not FlowState.objects.exists()


def test_an_account_that_could_not_be_kept_fails_the_trial(admin: Client, says: SaysSo, closed: Connection) -> None:
    says.account = Account(sub="x" * 300)
    assert "empty, too long or not printable" in attempt(admin, closed).content.decode()


def test_only_the_administrator_who_began_it_is_shown_anything(
    admin: Client, says: SaysSo, closed: Connection, boss: User
) -> None:
    """A browser in which somebody else is signed in meanwhile, or nobody; or who lost the right."""
    other = make_user("other@fabrikamcorp.com", is_staff=True, is_superuser=True)
    for session in (make_session(other), None):
        state = depart(admin, closed)
        meanwhile = browser(session)
        for name, cookie in admin.cookies.items():
            if name not in meanwhile.cookies and "sso" not in name:
                meanwhile.cookies[name] = cookie.value
        response = come_back(meanwhile, state)
        assert response.status_code == 400
        assert "00u1" not in response.content.decode()
    state = depart(admin, closed)
    User.objects.filter(pk=boss.pk).update(is_staff=False, is_superuser=False)
    assert "00u1" not in come_back(admin, state).content.decode()


def test_a_trial_cannot_become_a_sign_in_nor_the_other_way_round(
    admin: Client, says: SaysSo, closed: Connection
) -> None:
    state = depart(admin, closed)
    assert come_back(Client(), state).status_code == 400  # another browser
    come_back(admin, state)
    assert come_back(admin, state).status_code in (302, 303)  # once only: back to the connection's page
    Connection.objects.update(enabled=True)
    stranger = Client()
    assert upstream.sign_in(stranger).status_code == 302
    assert Identity.objects.filter(connection=closed).count() == 1


def test_who_may_only_look_tries_nothing(says: SaysSo, closed: Connection) -> None:
    clerk = clerk_with("view_connection")
    assert clerk.post(way_to(closed)).status_code == 403
    assert not FlowState.objects.exists()


def test_enabling_says_what_was_not_tried_and_opens_it(admin: Client, says: SaysSo, closed: Connection) -> None:
    assert "It was not tested yet." in admin.get(way_to(closed, "enable")).content.decode()
    admin.post(way_to(closed, "enable"))
    assert upstream.depart(Client())
    assert "Before people meet it" not in page_of(admin, closed)
