"""One form, sent more than once, opens one session in one browser: whichever answer the browser keeps."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from django.conf import settings
from django.utils import timezone

from idp.protocol.initiators import Initiator
from logout_app.ending.end import Selection, end_sessions
from sessions_app.models import AuthorizationCode, SessionClient, SessionEvent, SSOSession
from tests.support.factories import PASSWORD, browser, make_application, make_session, make_user
from tests.support.oauth import request_params
from tests.support.sign_in import TOKEN, csrf_client, csrf_token, session_of

MARY = "mary@fabrikamcorp.com"
SSO, CSRF = settings.SSO_COOKIE_NAME, settings.CSRF_COOKIE_NAME


def live() -> list[SSOSession]:
    return list(SSOSession.objects.live(timezone.now()))


def at_once(url: str, data: dict[str, str], cookies: dict[str, str], copies: int = 4) -> list[requests.Response]:
    """Really parallel: the copies leave together, and each has a thread of the server."""
    together, answers = threading.Barrier(copies), []

    def send() -> None:
        together.wait(10)
        answers.append(requests.post(url, data, cookies=cookies, allow_redirects=False, timeout=60))

    threads = [threading.Thread(target=send) for _ in range(copies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


@pytest.mark.django_db(transaction=True)
def test_parallel_copies_of_a_login_form_open_one_session_that_signs_out_as_one(live_server: Any) -> None:
    app = make_application(backchannel_logout_uri="https://app.example/out")
    make_user()
    target = f"/authorize?{urlencode(request_params(app))}"
    page = requests.get(f"{live_server.url}/login", {"next": target}, timeout=60)
    form = {"username": MARY, "password": PASSWORD, "next": target, "csrfmiddlewaretoken": TOKEN.search(page.text)[1]}
    answers = at_once(f"{live_server.url}/login", form, page.cookies.get_dict())
    assert [answer.status_code // 100 for answer in answers] == [3] * 4
    assert len({answer.cookies[SSO] for answer in answers}) == 1
    (session,) = live()
    assert SessionClient.objects.filter(session=session).count() == 1
    assert SessionEvent.objects.filter(type="opened").count() == 1
    codes = {answer.headers["Location"].partition("code=")[2].partition("&")[0] for answer in answers}
    assert len(codes) == AuthorizationCode.objects.filter(session=session).count() == 4  # each copy can be gone on with
    out = requests.get(f"{live_server.url}/v2/logout", cookies={SSO: answers[-1].cookies[SSO]}, timeout=60)
    assert out.ok
    assert live() == []


@pytest.mark.django_db(transaction=True)
def test_parallel_copies_of_a_form_that_proves_it_again_keep_the_session_of_the_browser(live_server: Any) -> None:
    session = make_session(make_user())
    cookies = {SSO: session.raw_cookie}  # type: ignore[attr-defined]
    path = f"{live_server.url}/account/reauthenticate/"
    page = requests.get(path, cookies=cookies, timeout=60)
    form = {"password": PASSWORD, "csrfmiddlewaretoken": TOKEN.search(page.text)[1]}
    answers = at_once(path, form, {**cookies, **page.cookies.get_dict()})
    given = {answer.cookies[SSO] for answer in answers if SSO in answer.cookies}
    assert len(given) == 1
    assert [row.pk for row in live()] == [session.pk]
    assert requests.get(f"{live_server.url}/account/sessions", cookies={SSO: given.pop()}, timeout=60).url.endswith(
        "/account/sessions"
    )


@pytest.mark.django_db
def test_a_form_whose_answer_got_lost_opens_nothing_more_when_it_is_sent_again() -> None:
    make_user()
    client = csrf_client()
    form = {"username": MARY, "password": PASSWORD, "csrfmiddlewaretoken": csrf_token(client, "/login")}
    kept = client.cookies[CSRF].value
    client.post("/login", form)
    (first,) = live()
    cookie = client.cookies[SSO].value
    again = csrf_client()
    again.cookies[CSRF] = kept
    again.post("/login", form)
    assert [row.pk for row in live()] == [first.pk]
    assert again.cookies[SSO].value == cookie


@pytest.mark.django_db
def test_after_a_sign_out_the_same_form_opens_another_session_with_another_cookie() -> None:
    make_user()
    client = csrf_client()
    form = {"username": MARY, "password": PASSWORD, "csrfmiddlewaretoken": csrf_token(client, "/login")}
    kept = client.cookies[CSRF].value
    client.post("/login", form)
    (first,) = live()
    end_sessions(
        Selection.session(first.pk),
        initiator=Initiator.RP_LOGOUT,
        actor="user",
        at=timezone.now(),
        offline_tokens=False,
    )
    again = csrf_client()
    again.cookies[CSRF] = kept
    again.post("/login", form)
    (second,) = live()
    assert second.pk != first.pk
    assert again.cookies[SSO].value != client.cookies[SSO].value


@pytest.mark.django_db
def test_nobody_gets_the_session_of_somebody_else_by_their_form() -> None:
    """Whoever plants a CSRF secret in a browser, signs in with it first and waits has a session of their own only."""
    make_user()
    make_user("eve@fabrikamcorp.com")
    clients = {name: csrf_client() for name in (MARY, "eve@fabrikamcorp.com")}
    token = csrf_token(clients[MARY], "/login")
    secret = clients[MARY].cookies[CSRF].value
    for name, client in clients.items():
        client.cookies[CSRF] = secret
        client.post("/login", {"username": name, "password": PASSWORD, "csrfmiddlewaretoken": token})
    assert [session_of(client).user.email for client in clients.values()] == list(clients)  # type: ignore[union-attr]
    assert len(live()) == 2
    assert clients[MARY].cookies[SSO].value != clients["eve@fabrikamcorp.com"].cookies[SSO].value


@pytest.mark.django_db
def test_the_person_who_proves_it_again_by_the_login_form_gets_a_new_cookie() -> None:
    session = make_session(make_user())
    client = browser(session, enforce_csrf_checks=True)
    target = f"/authorize?{urlencode(request_params(make_application(), prompt='login'))}"
    page = client.get("/login", {"next": target}).content.decode()
    form = {"username": MARY, "password": PASSWORD, "next": target, "csrfmiddlewaretoken": TOKEN.search(page)[1]}
    client.post("/login", form)
    session_now = session_of(client)
    assert session_now is not None
    assert (session_now.pk, session_now.sid) == (session.pk, session.sid)
    assert client.cookies[SSO].value != session.raw_cookie  # type: ignore[attr-defined]
