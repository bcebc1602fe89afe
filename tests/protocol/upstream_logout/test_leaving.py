"""`federated`: after the local logout the browser goes on to the upstream, and back to where it was to go."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.utils import timezone

from idp.connections.oidc import flow
from idp.crypto.sealing import seal
from idp.models import Connection
from logout_app.models import LogoutTransaction
from sessions_app.models import FlowState
from tests.protocol.upstream_logout.conftest import ID_TOKEN, make_upstream_session
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.upstreams.scripted_oidc import CLIENT

pytestmark = pytest.mark.django_db
OUT = "https://app.example/out"
BACK = "http://localhost:8000/logout/callback"
PAGE_VISIT = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-site"}


@pytest.fixture
def app():
    return make_application("Quiet", client_id="quiet", post_logout_redirect_uris=OUT)


@pytest.fixture
def quiet(app, connection, person, provider):
    """A session with no application to tell: nothing keeps the browser on our page."""
    return make_upstream_session(
        connection, person, app, end_session_endpoint=provider.metadata["end_session_endpoint"]
    )


def logout(session, path="/v2/logout", client=None, **query):
    given = {"client_id": "quiet", "returnTo": OUT, "federated": "", **query}
    client = client or browser(session)
    return client, client.get(path, given, headers=PAGE_VISIT)


def asked(response):
    """Where the browser is sent, and with what."""
    parts = urlsplit(response["Location"])
    return f"{parts.scheme}://{parts.netloc}{parts.path}", {n: v[0] for n, v in parse_qs(parts.query).items()}


def is_live(session):
    session.refresh_from_db()
    return session.ended_at is None


def test_federated_goes_on_to_the_upstream_and_back_to_the_stored_address(provider, quiet):
    client, response = logout(quiet)

    endpoint, sent = asked(response)
    assert endpoint == provider.metadata["end_session_endpoint"]
    assert sent.pop("state")
    assert sent == {
        "id_token_hint": ID_TOKEN,
        "post_logout_redirect_uri": f"{settings.ISSUER_ORIGIN}/logout/callback",
    }
    assert not is_live(quiet)

    state = asked(response)[1]["state"]
    back = client.get("/logout/callback", {"state": state, "returnTo": "https://evil.example/"})
    assert (back.status_code, back["Location"]) == (303, OUT)
    assert LogoutTransaction.objects.get().upstream["standing"] == "left"


def test_oidc_logout_knows_federated_too(quiet, provider):
    _, response = logout(quiet, "/oidc/logout", post_logout_redirect_uri=OUT, logout_hint=quiet.sid)
    assert asked(response)[0] == provider.metadata["end_session_endpoint"]
    assert not is_live(quiet)


def test_the_question_remembers_federated(quiet, provider):
    client = browser(quiet)
    page = client.get("/oidc/logout", {"federated": "", "client_id": "quiet", "post_logout_redirect_uri": OUT})
    question = page.context["question"]
    assert is_live(quiet)
    answer = client.post("/oidc/logout/confirm", {"question": question, "logout": "yes"}, headers=PAGE_VISIT)
    # After a POST a page leads on: a redirect would be refused by our form's own policy.
    assert provider.metadata["end_session_endpoint"] in answer.content.decode()
    assert not is_live(quiet)


@pytest.mark.parametrize("strategy", ["auth0", "ad"])
def test_without_an_upstream_federated_changes_nothing(app, strategy):
    user = make_user()
    Connection.objects.update(strategy=strategy)
    _, response = logout(make_session(user, app))
    assert response["Location"] == OUT


def test_without_a_session_there_is_nobody_to_sign_out_upstream(app, connection):
    _, response = logout(None)
    assert response["Location"] == OUT


def test_without_federated_the_browser_stays_with_us(quiet):
    client = browser(quiet)
    response = client.get("/v2/logout", {"client_id": "quiet", "returnTo": OUT}, headers=PAGE_VISIT)
    assert response["Location"] == OUT


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({"hint": "client_id"}, {"client_id": CLIENT, "post_logout_redirect_uri": BACK}),
        ({"hint": "logout_hint"}, {"client_id": CLIENT, "logout_hint": "up-1", "post_logout_redirect_uri": BACK}),
        ({"hint": "none", "url": "https://upstream.example/bye?x=1"}, {"x": "1"}),
    ],
)
def test_each_upstream_gets_the_hint_that_its_connection_says(connection, quiet, option, expected):
    connection.options["logout"] = option
    connection.save()
    endpoint, sent = asked(logout(quiet)[1])
    sent.pop("state", None)
    assert {
        **sent,
        **({} if "post_logout_redirect_uri" not in sent else {"post_logout_redirect_uri": BACK}),
    } == expected
    assert endpoint == option.get("url", quiet.upstream["end_session_endpoint"]).partition("?")[0]


@pytest.fixture
def with_many_groups(connection, quiet):
    """An ID token of 200 groups."""
    token = f"header.{'g' * 9000}.signature"
    quiet.upstream["id_token"] = seal(token, flow.hint_context(connection))
    quiet.save()
    return token


def test_an_id_token_that_is_too_long_for_an_address_is_left_out_of_it(connection, quiet, with_many_groups):
    client, response = logout(quiet)
    endpoint, sent = asked(response)
    assert len(response["Location"]) <= 3000
    assert endpoint == quiet.upstream["end_session_endpoint"]
    state = sent.pop("state")
    assert sent == {"client_id": CLIENT, "logout_hint": "up-1", "post_logout_redirect_uri": BACK}
    assert client.get("/logout/callback", {"state": state})["Location"] == OUT


def test_okta_which_needs_the_id_token_gets_a_long_one_by_a_form(connection, quiet, with_many_groups):
    Connection.objects.update(strategy="okta")
    client, response = logout(quiet)
    page = response.content.decode()
    assert response.status_code == 200
    assert f'action="{quiet.upstream["end_session_endpoint"]}"' in page
    assert f'name="id_token_hint" value="{with_many_groups}"' in page
    assert "http://localhost:" in response["Content-Security-Policy"].partition("form-action")[2]
    state = re.search('name="state" value="([^"]+)"', page)[1]
    assert client.get("/logout/callback", {"state": state})["Location"] == OUT


def test_google_has_a_page_of_its_own_and_sends_nobody_back(connection, quiet):
    connection.strategy = "google-oauth2"
    connection.save()
    quiet.upstream["end_session_endpoint"] = ""
    quiet.save()
    client, response = logout(quiet)
    assert response["Location"] == "https://accounts.google.com/Logout"
    # An upstream that drops the state leads on from this browser's last departure; it is no word that anybody left.
    assert client.get("/logout/callback")["Location"] == OUT
    assert LogoutTransaction.objects.get().upstream["standing"] == "sent"


def test_a_page_tells_the_applications_first_and_then_leads_on(session, provider):
    client = browser(session)
    page_url = client.get("/v2/logout", {"federated": ""}, headers=PAGE_VISIT)["Location"]
    page = client.get(page_url).content.decode()
    assert "Acme Okta" in page
    assert "You are taken there next" in page
    assert f'href="{page_url}/upstream"' in page

    response = client.get(f"{page_url}/upstream", headers=PAGE_VISIT)
    endpoint, sent = asked(response)
    assert endpoint == provider.metadata["end_session_endpoint"]
    assert "You were sent there" in client.get(page_url).content.decode()

    back = client.get("/logout/callback", {"state": sent["state"]})
    assert back["Location"] == page_url
    assert "You were sent there" not in client.get(page_url).content.decode()


def test_mary_may_choose_it_where_it_was_not_asked_for(session, provider):
    client = browser(session)
    page_url = client.get("/v2/logout", headers=PAGE_VISIT)["Location"]
    page = client.get(page_url).content.decode()
    assert "Sign out there too" in page
    assert 'data-returns=""' in page
    sent = asked(client.get(f"{page_url}/upstream", headers=PAGE_VISIT))[1]
    assert client.get("/logout/callback", {"state": sent["state"]})["Location"] == page_url
    page = client.get(page_url).content.decode()
    assert "Sign out there too" not in page


def test_an_upstream_that_says_no_is_shown_on_the_page(quiet):
    client, response = logout(quiet)
    back = client.get(
        "/logout/callback",
        {"state": asked(response)[1]["state"], "error": "server_error", "error_description": "<b>Out of order"},
    )
    page = client.get(back["Location"]).content.decode()
    assert "Acme Okta says: " in page
    assert "<b>" not in page
    assert "Try again" in page
    assert f'href="{OUT}"' in page
    assert not is_live(quiet)


def test_an_upstream_whose_address_cannot_be_used_leaves_the_person_signed_out_here(connection, quiet):
    connection.options["logout"] = {"url": "ftp://upstream.example/"}
    connection.save()
    client, response = logout(quiet)
    page = client.get(response["Location"]).content.decode()
    assert "It cannot be reached at the moment." in page
    assert not is_live(quiet)
    assert not FlowState.objects.exists()


def test_a_connection_that_was_closed_meanwhile_is_not_offered(connection, quiet):
    connection.enabled = False
    connection.save()
    assert logout(quiet)[1]["Location"] == OUT


@pytest.mark.parametrize("how", ["another browser", "no cookie", "wrong state", "twice", "too late"])
def test_a_return_that_this_browser_does_not_wait_for_leads_nowhere(quiet, how):
    client, response = logout(quiet)
    state = asked(response)[1]["state"]
    if how == "another browser":
        client = Client()
        client.cookies[settings.LOGOUT_COOKIE_NAME] = "x" * 43
    elif how == "no cookie":
        client = Client()
    elif how == "wrong state":
        state = "y" * 43
    elif how == "twice":
        assert client.get("/logout/callback", {"state": state}).status_code == 303
    moment = timezone.now() + timedelta(minutes=11) if how == "too late" else timezone.now()
    with time_machine.travel(moment):
        answer = client.get("/logout/callback", {"state": state})
    assert answer.status_code == 400
    assert "Location" not in answer


@pytest.mark.parametrize("query", ["", "state=", "error=server_error", "error=server_error&error_description=x&iss=y"])
def test_a_return_without_state_says_nothing_of_the_upstream_and_the_real_one_still_counts(session, query):
    client = browser(session)
    page_url = client.get("/v2/logout", headers=PAGE_VISIT)["Location"]
    sent = asked(client.get(f"{page_url}/upstream", headers=PAGE_VISIT))[1]
    for _ in range(2):
        assert client.get(f"/logout/callback?{query}", headers=PAGE_VISIT)["Location"] == page_url
        page = client.get(page_url).content.decode()
        assert "Asked, not confirmed" in page
        assert "<h1 data-headline>You are signed out everywhere" not in page
    assert LogoutTransaction.objects.get().upstream["standing"] == "sent"
    client.get("/logout/callback", {"state": sent["state"]}, headers=PAGE_VISIT)
    assert LogoutTransaction.objects.get().upstream["standing"] == "left"
    client.get("/logout/callback")  # and what is known stays known
    assert LogoutTransaction.objects.get().upstream["standing"] == "left"


def test_nobody_who_did_not_leave_is_led_on_by_a_return_without_state(session):
    client = browser(session)
    client.get("/v2/logout", headers=PAGE_VISIT)
    assert client.get("/logout/callback").status_code == 400
    assert LogoutTransaction.objects.get().upstream["standing"] == "offered"


def test_a_saml_address_without_relay_state_says_nothing_of_another_upstream(session):
    """Where an answer has to be signed, one that is not must not be taken for that of an OpenID provider."""
    client = browser(session)
    page_url = client.get("/v2/logout", headers=PAGE_VISIT)["Location"]
    client.get(f"{page_url}/upstream", headers=PAGE_VISIT)
    Connection.objects.create(name="partner", strategy="samlp")
    assert client.get("/samlp/partner/slo?SAMLResponse=x", headers=PAGE_VISIT).status_code == 400
    assert LogoutTransaction.objects.get().upstream["standing"] == "sent"


@pytest.mark.parametrize("destination", ["image", "iframe", "empty"])
def test_a_part_of_another_page_is_no_return(quiet, destination):
    client, response = logout(quiet)
    state = asked(response)[1]["state"]
    headers = {"Sec-Fetch-Dest": destination}
    assert client.get("/logout/callback", {"state": state}, headers=headers).status_code == 403
    assert LogoutTransaction.objects.get().upstream["standing"] == "sent"


@pytest.mark.parametrize("query", ["state=a&state=b", "state=%00", "state=%FF"])
def test_a_malformed_return_is_refused(quiet, query):
    client, _ = logout(quiet)
    assert client.get(f"/logout/callback?{query}").status_code == 400


def test_only_the_page_s_own_browser_leaves_by_it_and_only_by_a_page_visit(session):
    client = browser(session)
    page_url = client.get("/v2/logout", headers=PAGE_VISIT)["Location"]
    assert Client().get(f"{page_url}/upstream", headers=PAGE_VISIT).status_code == 404
    assert client.get(f"{page_url}/upstream", headers={"Sec-Fetch-Dest": "image"}).status_code == 403
    assert client.get(f"{page_url}/upstream", headers={**PAGE_VISIT, "Sec-Purpose": "prefetch"}).status_code == 403
    assert client.post(f"{page_url}/upstream").status_code == 405
    assert not FlowState.objects.exists()


def test_neither_token_nor_id_token_lies_in_the_database_in_clear(quiet):
    client, _ = logout(quiet)
    flow = FlowState.objects.get()
    assert ID_TOKEN not in str(flow.data)
    quiet.refresh_from_db()
    assert ID_TOKEN not in str(quiet.upstream)
    assert client.cookies[settings.LOGOUT_COOKIE_NAME].value not in str(flow.data)
