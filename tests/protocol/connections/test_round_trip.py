"""Sign-in upstream as the browser lives it: it departs, comes back, and is somebody. What is verified is the protocols' own matter."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from idp.connections import registry
from idp.connections.contract import Account, UpstreamFault, UpstreamRefused
from idp.models import Identity, User
from idp.people import accounts, identities
from sessions_app.models import FlowState, SessionEvent, SSOSession
from tests.support.factories import browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import answer_of, issuer, request_params
from tests.support.sign_in import session_of
from tests.support.upstream import SaysSo, come_back, depart, sign_in, state_of

pytestmark = pytest.mark.django_db
FORM = {"content_type": "application/x-www-form-urlencoded", "headers": {"Sec-Fetch-Site": "same-site"}}
CROSS_SITE = {**FORM, "headers": {"Sec-Fetch-Site": "cross-site"}}


def authorize(application, **changes) -> str:
    return f"/authorize?{urlencode(request_params(application, **changes))}"


def page(response) -> str:
    return response.content.decode()


def test_somebody_departs_comes_back_and_is_signed_in_where_they_wanted_to_go(acme):
    acme.account = Account(sub="00u1", email="Mary@Acme.example", upstream_sid="up-1", upstream={"id_token": "sealed"})
    target = authorize(make_application())
    client = Client()

    response = sign_in(client, next=target)

    assert (response.status_code, response["Location"]) == (302, target)
    session = session_of(client)
    assert session.user.user_id == "oidc|Acme|00u1"
    assert (session.connection.name, session.upstream_sid) == ("Acme", "up-1")
    assert session.upstream["id_token"] == "sealed"
    assert [method["name"] for method in session.amr] == ["federated"]
    assert acme.kept == [{"nonce": "kept"}]
    assert "code" in answer_of(client.get(target))
    assert list(SessionEvent.objects.values_list("type", flat=True)) == ["opened", "joined"]


def test_several_tabs_of_one_browser_come_back_in_any_order(acme):
    client = Client()
    first, second = depart(client, next="/account/mfa/"), depart(client, next="/activate")

    assert come_back(client, second)["Location"] == "/activate"
    assert come_back(client, first)["Location"] == "/account/mfa/"
    assert SSOSession.objects.filter(ended_at=None).count() == 1


@pytest.mark.spec("RFC 6749", "10.12", "A state that this browser did not begin is refused")
def test_an_answer_in_another_browser_is_refused_and_stays_unused(acme):
    client, thief = Client(), Client()
    state = depart(client)
    depart(thief)

    for stranger in (thief, Client()):
        assert come_back(stranger, state).status_code == 400
        assert session_of(stranger) is None
    assert come_back(client, state).status_code == 302


def test_a_state_works_once(acme):
    client = Client()
    state = depart(client)
    assert come_back(client, state).status_code == 302
    session = session_of(client)
    for _ in range(2):
        come_back(client, state)
    assert session_of(client) == session
    assert len(acme.kept) == 1


def test_the_same_answer_again_leads_whoever_is_signed_in_to_where_it_led(acme):
    """*Back*, a reload, or a double click at the upstream whose first answer this browser never showed."""
    client, target = Client(), authorize(make_application())
    state = depart(client, next=target)
    come_back(client, state)
    assert come_back(client, state)["Location"] == target
    posted = client.post("/login/callback", f"state={state}&code=c", **FORM)
    assert posted.status_code == 200
    assert target.partition("?")[0] in page(posted)
    assert len(acme.kept) == 1


def test_the_same_answer_again_tells_another_browser_nothing_of_where_it_led(acme):
    client = Client()
    state = depart(client, next="/account/mfa/")
    come_back(client, state)
    stranger = browser(make_session(make_user("paul@fabrikamcorp.com")))
    response = come_back(stranger, state)
    assert response.status_code == 400
    assert "/account/mfa/" not in page(response)


def test_a_state_works_for_ten_minutes(acme):
    client, target = Client(), authorize(make_application())
    state = depart(client, next=target)
    FlowState.objects.update(expires_at=timezone.now())
    response = come_back(client, state)
    assert response.status_code == 400
    assert session_of(client) is None
    again = re.search(r'href="(/login\?next=[^"]+)"', page(response))
    begun_anew = client.get(unescape(again[1]))
    assert come_back(client, state_of(begun_anew))["Location"] == target


@pytest.mark.parametrize("state", ["", "unknown", "\N{SNOWMAN}", "x" * 5000])
def test_a_state_that_nobody_knows_is_a_page(acme, state):
    response = come_back(Client(), state)
    assert response.status_code == 400
    assert "Try again" in page(response)


@pytest.mark.parametrize("query", ["state=a&state=b", "state=%00", "state=%ff", "&".join(["a=b"] * 300)])
def test_an_answer_that_cannot_be_read_is_a_page(acme, query):
    assert Client().get(f"/login/callback?{query}").status_code == 400


def test_an_answer_at_the_address_of_another_connection_is_refused(acme, monkeypatch):
    """What was begun with Acme ends at Acme's own callback only."""
    monkeypatch.setitem(registry.REDIRECT_PROTOCOLS, "samlp", acme)
    make_connection("Other", "samlp")
    client = Client()
    state = depart(client)

    response = client.post("/login/callback/Other", urlencode({"RelayState": state, "SAMLResponse": "x"}), **FORM)

    assert response.status_code == 400
    assert not acme.kept
    assert come_back(client, state).status_code == 302


def test_a_connection_that_was_switched_off_meanwhile_lets_nobody_in(acme):
    client = Client()
    state = depart(client)
    accounts.disable_connection(registry.Connection.objects.get(name="Acme"), actor="admin:a", at=timezone.now())

    assert come_back(client, state).status_code == 400
    assert not acme.kept
    assert session_of(client) is None


def test_a_connection_that_was_taken_from_the_application_meanwhile_lets_nobody_in(acme):
    application = make_application()
    client = Client()
    state = depart(client, next=authorize(application))
    row = registry.Connection.objects.get(name="Acme")
    row.enabled_for_all = False
    row.save()

    assert come_back(client, state).status_code == 400
    assert not acme.kept


@pytest.mark.parametrize(
    ("fields", "status"),
    [({}, 303), ({"enabled": False}, 400), ({"strategy": "auth0"}, 400)],
    ids=["usable", "disabled", "password"],
)
def test_nobody_departs_through_what_cannot_be_used(acme, fields, status):
    registry.Connection.objects.filter(name="Acme").update(**fields)
    assert Client().get("/login/upstream/Acme").status_code == status
    assert Client().get("/login/upstream/Nobody").status_code == 400


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/login/callback", "javascript:alert(1)"]
)
def test_what_is_not_ours_leads_home(acme, target):
    assert sign_in(Client(), next=target)["Location"] == "/"


def test_wishes_of_the_application_travel_upstream(acme):
    target = authorize(
        make_application(),
        prompt="login select_account",
        max_age="300",
        login_hint="mary@acme.example",
        ui_locales="de",
        acr_values="urn:strong",
    )
    depart(Client(), next=target)
    wishes = acme.wishes[0]
    assert (wishes.force, wishes.select_account, wishes.max_age) == (True, True, 300)
    assert (wishes.login_hint, wishes.ui_locales, wishes.acr_values) == ("mary@acme.example", "de", "urn:strong")
    depart(Client(), next=target, login_hint="other@acme.example")
    assert acme.wishes[1].login_hint == "other@acme.example"


def test_a_proof_that_is_older_than_the_application_allows_is_asked_for_anew(acme):
    target = authorize(make_application(), max_age="300")
    acme.account = Account(sub="00u1", auth_time=timezone.now() - timedelta(hours=1))
    client = Client()

    again = sign_in(client, next=target)
    assert [wishes.force for wishes in acme.wishes] == [False, True]
    assert session_of(client) is None
    acme.account = Account(sub="00u1", auth_time=timezone.now())
    assert come_back(client, state_of(again))["Location"] == target


def test_an_upstream_that_forces_nobody_is_asked_twice_at_most(acme):
    target = authorize(make_application(), prompt="login")
    acme.account = Account(sub="00u1", auth_time=timezone.now() - timedelta(hours=1))
    client = Client()
    refused = come_back(client, state_of(sign_in(client, next=target)))
    assert refused.status_code == 403
    assert "Acme Login did not ask you to" in page(refused)
    assert session_of(client) is None


class TestAfterARevocation:
    def revoke(self, client) -> User:
        user = session_of(client).user
        User.objects.filter(pk=user.pk).update(revoked_before=timezone.now())
        return user

    @pytest.fixture
    def client(self, acme) -> Client:
        client = Client()
        sign_in(client)
        self.revoke(client)
        return client

    def test_an_old_proof_upstream_is_asked_for_anew(self, acme, client):
        acme.account = Account(sub="00u1", auth_time=timezone.now() - timedelta(minutes=5))
        again = sign_in(client)
        assert [wishes.force for wishes in acme.wishes] == [False, False, True]
        acme.account = Account(sub="00u1", auth_time=timezone.now())
        assert come_back(client, state_of(again)).status_code == 302
        assert session_of(client).is_alive(timezone.now())

    def test_an_upstream_that_does_not_say_when_is_made_to_ask_once(self, acme, client):
        again = sign_in(client)
        assert acme.wishes[-1].force
        assert come_back(client, state_of(again)).status_code == 302
        assert session_of(client).is_alive(timezone.now())
        sign_in(client)
        assert not acme.wishes[-1].force

    def test_one_that_comes_while_the_answer_is_read_wins(self, acme, monkeypatch):
        receive = identities.receive

        def overtaken(*args, **kwargs):
            identity = receive(*args, **kwargs)
            User.objects.update(revoked_before=timezone.now())
            return identity

        monkeypatch.setattr(identities, "receive", overtaken)
        client = Client()
        sign_in(client)
        assert not session_of(client).is_alive(timezone.now())

    def test_a_trip_that_began_before_it_is_not_believed(self, acme, client):
        state = depart(client)
        User.objects.update(revoked_before=timezone.now())
        sent = come_back(client, state)
        assert sent.status_code == 303
        User.objects.update(revoked_before=timezone.now())
        assert come_back(client, state_of(sent)).status_code == 403


def test_a_sign_in_upstream_costs_a_fixed_number_of_statements(acme, django_assert_max_num_queries):
    """Departure: settings and the trip. Arrival: settings, the trip and its use, the identity, then as a password's."""
    client = Client()
    sign_in(client)
    del client.cookies[settings.SSO_COOKIE_NAME]
    with django_assert_max_num_queries(2):
        state = depart(client)
    with django_assert_max_num_queries(13):
        come_back(client, state)
    assert session_of(client)


def test_a_session_ends_with_that_of_the_upstream(acme):
    ends_at = timezone.now() + timedelta(hours=1)
    acme.account = Account(sub="00u1", expires_at=ends_at)
    client = Client()
    sign_in(client)
    assert session_of(client).expires_at == ends_at
    sign_in(client)
    assert session_of(client).expires_at == ends_at
    acme.account = Account(sub="00u1")
    sign_in(client)
    assert session_of(client).expires_at > ends_at
    assert SSOSession.objects.count() == 1


def test_a_session_that_is_over_upstream_opens_nothing(acme):
    acme.account = Account(sub="00u1", expires_at=timezone.now())
    client = Client()
    assert sign_in(client).status_code == 400
    assert session_of(client) is None


def test_a_blocked_person_sees_that_they_are_blocked(acme):
    client = Client()
    sign_in(client)
    user = session_of(client).user
    accounts.block_user(user, actor="admin:a", at=timezone.now())

    response = sign_in(client)

    assert response["Location"] == "/account/inactive/"
    assert not any(session.is_alive(timezone.now()) for session in SSOSession.objects.all())
    failed = SessionEvent.objects.get(type="sign_in_failed")
    assert (failed.sub, failed.connection, failed.data) == (user.user_id, "Acme", {"reason": "blocked"})


def test_somebody_else_in_this_browser_takes_its_place(acme):
    first = make_session(make_user())
    client = browser(first)
    sign_in(client)
    first.refresh_from_db()
    assert first.ended_at
    assert session_of(client).user.user_id == "oidc|Acme|00u1"


def test_two_accounts_with_the_same_address_are_two_people(acme):
    mine = make_user("mary@acme.example")
    sign_in(Client())
    acme.account = Account(sub="00u2", email="Mary@Acme.example", email_verified=True)
    sign_in(Client())
    assert User.objects.count() == 3
    assert Identity.objects.filter(user=mine).count() == 1


class TestRefusals:
    def test_the_upstream_says_why_and_there_is_a_way_back(self, acme):
        application = make_application()
        target = authorize(application, response_mode="query")
        acme.error = UpstreamRefused("User is not assigned to this application.", detail="access_denied\r\nx")

        response = sign_in(Client(), next=target)

        assert response.status_code == 403
        assert "Acme Login says: User is not assigned to this application." in page(response)
        assert "Use another way to sign in" not in page(response)
        back = Client().get("/login/cancel", {"next": target, "error": "access_denied"})
        answer = answer_of(back)
        assert back["Location"].startswith(application.callbacks[0])
        assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "the-state", issuer())

    def test_who_tries_again_is_asked_who_they_are(self, acme):
        acme.error = UpstreamRefused("No.")
        client = Client()
        again = re.search('href="(/login/upstream/[^"]+)"', page(sign_in(client)))[1].replace("&amp;", "&")
        client.get(again)
        assert acme.wishes[-1].force
        assert acme.wishes[-1].select_account

    def test_another_way_is_offered_where_there_is_one(self, acme):
        make_connection()
        acme.error = UpstreamRefused("No.")
        assert "Use another way to sign in" in page(sign_in(Client()))

    def test_what_the_upstream_writes_is_text(self, acme):
        acme.error = UpstreamRefused("<script>alert(1)</script>" + "x" * 1000)
        body = page(sign_in(Client()))
        assert "<script>alert" not in body
        assert "x" * 400 not in body

    def test_nobody_is_led_to_an_address_that_is_not_registered(self):
        application = make_application()
        target = authorize(application, redirect_uri="https://evil.example/")
        assert Client().get("/login/cancel", {"next": target}).status_code == 400
        assert Client().get("/login/cancel", {"next": "https://evil.example/"})["Location"] == "/"

    def test_only_errors_of_the_specifications_reach_the_application(self):
        target = authorize(make_application())
        back = Client().get("/login/cancel", {"next": target, "error": "made_up"})
        assert answer_of(back)["error"] == "access_denied"


class TestFaults:
    @pytest.mark.parametrize(("given", "status"), [(0, 502), (504, 504)])
    def test_an_upstream_that_is_away_is_a_page_with_its_reason_in_the_log(self, acme, caplog, given, status):
        acme.departing = UpstreamFault("Acme: discovery timed out", status=given)
        response = Client().get("/login/upstream/Acme")
        assert response.status_code == status
        assert "does not work at the moment" in page(response)
        assert "discovery timed out" not in page(response)
        assert "discovery timed out" in caplog.text

    @pytest.mark.parametrize(("given", "status"), [(0, 400), (502, 502)])
    def test_an_answer_that_proves_nothing_is_a_bad_request(self, acme, given, status):
        acme.error = UpstreamFault("Acme: nonce is wrong", status=given)
        assert sign_in(Client()).status_code == status


class TestPostedAnswers:
    @pytest.fixture
    def saml(self, acme, monkeypatch) -> SaysSo:
        acme.fields = (("SAMLRequest", "r"),)
        monkeypatch.setitem(registry.REDIRECT_PROTOCOLS, "samlp", acme)
        make_connection("Corp", "samlp")
        return acme

    def start(self, client) -> str:
        response = client.get("/login/upstream/Corp", {"next": "/activate"})
        assert "form-action 'self' https://acme.example https:" in response["Content-Security-Policy"]
        return re.search('name="RelayState" value="([^"]+)"', page(response))[1]

    def test_the_browser_posts_there_and_is_posted_back(self, saml):
        client = Client(enforce_csrf_checks=True)
        state = self.start(client)
        response = client.post("/login/callback/Corp", urlencode({"RelayState": state, "SAMLResponse": "x"}), **FORM)
        assert response["Location"] == "/activate"
        assert session_of(client).user.user_id == "samlp|Corp|00u1"

    def test_a_cross_site_post_without_cookies_is_sent_again_from_our_own_page(self, saml):
        client = Client(enforce_csrf_checks=True)
        state = self.start(client)
        posted = {"RelayState": state, "SAMLResponse": "x"}
        kept = dict(client.cookies)
        client.cookies.clear()
        response = client.post("/login/callback/Corp", urlencode(posted), **CROSS_SITE)
        assert response.status_code == 200
        assert 'action="/login/callback/Corp"' in page(response)
        client.cookies.update(kept)
        posted["curfew_reposted"] = "1"
        response = client.post("/login/callback/Corp", urlencode(posted), **FORM)
        assert response.status_code == 200
        assert 'content="0; url=/activate"' in page(response)
        assert session_of(client)

    def test_an_answer_that_nobody_asked_for_is_the_protocols_to_judge(self, saml):
        make_application("Shop")
        registry.Connection.objects.filter(name="Corp").update(
            options={"idpinitiated": {"enabled": True, "client_id": "shop", "client_authorizequery": "scope=openid"}}
        )
        client = Client()
        response = client.post(
            "/login/callback/Corp", urlencode({"RelayState": "https://evil.example/", "SAMLResponse": "x"}), **FORM
        )
        assert response["Location"] == "/authorize?client_id=shop&scope=openid"
        assert saml.kept == [None]

    @pytest.mark.parametrize("name", ["Nobody", "Acme%00", "FabrikamAD"])
    def test_a_connection_that_is_none_is_a_page(self, saml, name):
        make_connection()
        response = Client().post(f"/login/callback/{name}", urlencode({"SAMLResponse": "x"}), **FORM)
        assert response.status_code in (400, 404)

    def test_what_is_not_a_form_is_refused(self, saml):
        assert Client().post("/login/callback/Corp", "{}", content_type="application/json").status_code == 415
        assert Client().get("/login/callback/Corp").status_code == 405
        too_large = "SAMLResponse=" + "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        assert Client().post("/login/callback/Corp", too_large, **FORM).status_code == 413


def test_the_cookie_is_bound_to_our_host_and_sent_from_other_sites(acme, settings):
    settings.HTTPS, settings.UPSTREAM_COOKIE_NAME = True, "__Host-curfew_upstream"
    cookie = Client().get("/login/upstream/Acme").cookies["__Host-curfew_upstream"]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("None", "/", "")
    assert cookie["secure"]
    assert cookie["httponly"]
