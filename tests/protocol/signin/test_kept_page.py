"""The login page that is made once: nobody's values are in it, and it is the page that would be made anew."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.test import Client

from idp.tenants import configuration
from sessions_app.views.signin import login_page
from tests.support.factories import PASSWORD, browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import request_params
from tests.support.sign_in import TOKEN, csrf_client, csrf_token, sign_in_by_form

pytestmark = pytest.mark.django_db
ODD = "/authorize?client_id=%22%3E&state=\"><script>alert(1)</script>&'=&amp;&x=%0A+%2B"


@pytest.fixture(autouse=True)
def _ways():
    make_connection()
    make_connection("Acme", "oidc", options={"domain_aliases": ["acme.example"]})
    make_connection("Zenith", "oidc", icon_url="https://zenith.example/icon.png")


def waiting(application, **changes) -> str:
    return f"/authorize?{urlencode(request_params(application, **changes))}"


def page(client: Client, target: str, **query: str) -> str:
    response = client.get("/login", {"next": target, **query})
    assert response.status_code == 200
    return response.content.decode()


def without_token(text: str) -> str:
    return TOKEN.sub("", text)


def _same_for_all(answer):
    """Without what is new in each: the token of forms, and the reference of a page that says what went wrong."""
    return re.sub(r"<code>[A-Z2-9]{4}-[A-Z2-9]{4}</code>", "", without_token(answer.content.decode()))


@pytest.mark.parametrize("last_used", ["", "Zenith", "Nowhere", "Fabri kam"])
@pytest.mark.parametrize("only", ["", "FabrikamAD", "Acme"])
def test_it_is_the_page_that_would_be_made_anew(last_used, only):
    app = make_application("Jim's <b>Application</b>", client_id="jim")
    for target in ("/", "/account/sessions", ODD, waiting(app, state="\"'<&>"), waiting(app, scope="openid")):
        client = browser()
        client.cookies[settings.LAST_CONNECTION_COOKIE_NAME] = last_used
        query = {"only": only} if only else {}
        if only == "Acme":  # the only way leads upstream unless somebody just signed out
            query["login_hint"] = "unused"
        kept = client.get("/login", {"next": target, **query})
        fresh = browser()  # with a flow session there may be messages: such a browser's page is never the kept one
        fresh.cookies[settings.SESSION_COOKIE_NAME] = "x" * 32
        fresh.cookies[settings.LAST_CONNECTION_COOKIE_NAME] = last_used
        anew = fresh.get("/login", {"next": target, **query})
        assert kept.status_code == anew.status_code
        assert _same_for_all(kept) == _same_for_all(anew)
        assert kept["Content-Security-Policy"] == anew["Content-Security-Policy"]


def test_what_is_put_in_is_escaped():
    text = page(Client(), ODD)
    assert "<script>alert" not in text
    assert "&quot;&gt;&lt;script&gt;alert(1)" in text
    assert "<script>" not in re.sub(r"<script src=[^>]*>", "", text)


def test_everybody_gets_their_own_token_and_target():
    app = make_application()
    first = page(Client(), waiting(app, state="of-the-first"))
    second = page(Client(), waiting(app, state="of-the-second"))
    assert "of-the-first" in first
    assert "of-the-first" not in second
    assert TOKEN.search(first)[1] != TOKEN.search(second)[1]


@pytest.mark.parametrize("state", ["token", "next", "quoted"])
def test_what_is_put_in_is_not_looked_through_again(state):
    from sessions_app.views.signin import login_page

    mark = getattr(login_page, state.upper())
    text = page(Client(), f"/authorize?state={mark}")
    assert f"/authorize?state={mark}" in text


def test_nothing_personal_stays_in_it():
    app = make_application()
    mary = make_user()
    target = waiting(app)
    session = make_session(mary)
    assert "mary@fabrikamcorp.com" in page(browser(session), waiting(app, prompt="login"))
    assert "pat@acme.example" in page(Client(), waiting(app, login_hint="pat@acme.example"))
    client = csrf_client()
    wrong = sign_in_by_form(client, "john@fabrikamcorp.com", "wrong", next=target).content.decode()
    assert "john@fabrikamcorp.com" in wrong
    assert 'name="choose"' in page(Client(), target, choose="1")
    text = page(Client(), target)
    for trace in ("mary@", "pat@", "john@", 'role="alert"', 'name="choose"', "signed in as", "Last used"):
        assert trace not in text


def test_its_form_is_protected_against_forgery():
    """The token in it is that of one browser."""
    make_user()
    mine, other = csrf_client(), csrf_client()
    form = {"username": "mary@fabrikamcorp.com", "password": PASSWORD}
    token = csrf_token(mine, "/login")
    csrf_token(other, "/login")
    assert other.post("/login", {**form, "csrfmiddlewaretoken": token}).status_code == 403
    assert mine.post("/login", form).status_code == 403
    assert mine.post("/login", {**form, "csrfmiddlewaretoken": token}).status_code == 302


def test_a_change_of_the_configuration_is_seen_by_the_next_request():
    app = make_application("Before")
    assert "Sign in to Before" in page(Client(), waiting(app))
    app.name = "After"
    app.save()
    assert "Sign in to After" in page(Client(), waiting(app))
    tenant = configuration.load_tenant()
    tenant.support_email = "help@fabrikamcorp.com"
    tenant.save()
    assert "help@fabrikamcorp.com" in page(Client(), waiting(app))
    make_connection("Newest", "oidc")
    assert "Newest" in page(Client(), waiting(app))


def test_what_is_asked_does_not_make_more_of_them(monkeypatch):
    app, made = make_application(), []
    render = login_page.render_to_string
    monkeypatch.setattr(login_page, "render_to_string", lambda *args: made.append(args) or render(*args))
    for number in range(5):
        client = Client()
        client.cookies[settings.LAST_CONNECTION_COOKIE_NAME] = f"Nowhere{number}"
        page(client, waiting(app, state=str(number)), only=f"Nowhere{number}")
    assert len(made) == 1


def test_without_a_form_there_is_no_token_to_keep():
    from idp.models import Connection

    Connection.objects.filter(name__in=["FabrikamAD", "Acme"]).delete()
    make_connection("Third", "oidc")
    configuration.bump()
    client = Client()
    assert "<form" not in page(client, "/")
    assert settings.CSRF_COOKIE_NAME not in client.cookies
