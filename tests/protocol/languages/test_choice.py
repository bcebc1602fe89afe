"""In which language somebody is answered, and for how long."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import mail as outbox
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from idp.models import Application, TenantSettings, User
from idp.tenants import configuration
from sessions_app.account import security_mails
from sessions_app.models import SecurityMail, SecurityMailKind
from sessions_app.tasks import send_mails
from tests.support.factories import browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import request_params
from tests.support.sign_in import sign_in_by_form
from tests.support.upstream import SaysSo

pytestmark = pytest.mark.django_db
ASKED, CHOSEN = "curfew_asked_language", "curfew_language"


@pytest.fixture(autouse=True)
def _fabrikam() -> None:
    make_connection()


def language_of(response: HttpResponse) -> str:
    """What the page says of itself, in its first tag and in its header."""
    found = re.search(r'<html lang="([a-z-]+)" dir="ltr">', response.content.decode())
    assert found is not None
    assert response.headers["Content-Language"] == found[1]
    assert {"Accept-Language", "Cookie"} <= set(response.headers["Vary"].split(", "))
    return found[1]


def begin(client: Client, app: Application, **params: Any) -> HttpResponse:
    """To the login page, from the application."""
    away = client.get("/authorize", request_params(app, **params))
    assert away.status_code == 303
    return client.get(away["Location"])


@pytest.mark.parametrize(
    ("ui_locales", "chosen", "accepted", "default", "spoken"),
    [
        ("fr de", "de", "de", "de", "fr"),
        ("tlh", "de", "fr", "fr", "de"),
        ("", "de", "fr", "fr", "de"),
        ("", "", "fr-CA,en;q=0.5", "de", "fr"),
        ("", "", "es", "de", "de"),
        ("", "", "", "fr", "fr"),
        ("", "", "es", "en", "en"),
        ("", "tlh", "fr", "de", "fr"),
    ],
)
def test_the_request_then_the_person_then_the_browser_then_the_tenant(
    ui_locales: str, chosen: str, accepted: str, default: str, spoken: str
) -> None:
    TenantSettings.objects.update_or_create(pk=1, defaults={"default_language": default})
    configuration.bump()
    client = browser(make_session(make_user(language=chosen)))
    page = client.get("/", {"ui_locales": ui_locales} if ui_locales else {}, HTTP_ACCEPT_LANGUAGE=accepted)
    assert language_of(page) == spoken
    words = {"en": "You are signed in", "de": "Sie sind angemeldet", "fr": "Vous êtes connecté"}[spoken]
    assert words in page.content.decode()


@pytest.mark.spec("oidc-core", "3.1.2.1", "ui_locales says the languages of the pages; unknown ones are no error")
def test_ui_locales_holds_until_the_application_has_its_answer(app: Application) -> None:
    make_user()
    client = Client(HTTP_ACCEPT_LANGUAGE="fr")
    page = begin(client, app, ui_locales="tlh de-AT")
    assert language_of(page) == "de"
    assert "Bei JWT Debugger anmelden" in page.content.decode()
    assert language_of(client.get("/account/password/reset/")) == "de"
    assert language_of(client.get("/nothing-here")) == "de"

    done = sign_in_by_form(client, next=request_url(app, ui_locales="tlh de-AT"))

    assert done["Location"].startswith(app.callbacks[0])
    assert done.cookies[ASKED]["max-age"] == 0
    assert language_of(client.get("/")) == "fr"


def test_ui_locales_survives_the_trip_upstream(app: Application, acme: SaysSo) -> None:
    client = Client()
    login = begin(client, app, ui_locales="de")
    away = client.get(re.search(r'href="(/login/upstream/Acme[^"]+)"', login.content.decode())[1].replace("&amp;", "&"))  # type: ignore[index]
    assert away.status_code in (302, 303)
    lost = client.get("/login/callback", {"state": "somebody else's", "code": "x"})
    assert language_of(lost) == "de"
    assert "Diese Anmeldung ist hier nicht bekannt." in lost.content.decode()


def test_an_application_that_is_answered_at_once_costs_no_cookie(app: Application) -> None:
    client = browser(make_session(make_user(), app))
    answer = client.get("/authorize", request_params(app, ui_locales="de"))
    assert answer["Location"].startswith(app.callbacks[0])
    assert ASKED not in answer.cookies


@pytest.mark.spec("rp-initiated", "2", "ui_locales says the languages of the logout pages")
def test_sign_out_asks_and_ends_in_the_language_that_was_asked_for() -> None:
    client = browser(make_session(make_user()))
    question = client.get("/oidc/logout", {"ui_locales": "fr"})
    assert language_of(question) == "fr"
    assert "Se déconnecter ?" in question.content.decode().replace("\u00a0", " ")
    assert language_of(client.get("/logout/complete")) == "fr"


def test_the_choice_on_the_profile_is_said_at_once_and_stays_after_the_sign_out() -> None:
    mary = make_user()
    client = browser(make_session(mary), HTTP_ACCEPT_LANGUAGE="fr")
    client.get("/", {"ui_locales": "en"})
    page = client.post("/account/", {"language": "de"}, follow=True)
    assert language_of(page) == "de"
    assert "Seiten und E-Mails sind jetzt in dieser Sprache." in page.content.decode()
    mary.refresh_from_db()
    assert mary.language == "de"
    client.cookies.pop("curfew_sso")
    assert language_of(client.get("/login")) == "de"
    assert client.post("/account/", {"language": "tlh"}).status_code in (302, 303)


def test_who_made_no_choice_is_not_answered_in_that_of_who_was_here_before() -> None:
    client = browser(make_session(make_user(language="de")), HTTP_ACCEPT_LANGUAGE="fr")
    assert language_of(client.get("/")) == "de"
    other = browser(make_session(make_user("john@fabrikamcorp.com")), HTTP_ACCEPT_LANGUAGE="fr")
    other.cookies[CHOSEN] = "de"
    page = other.get("/")
    assert language_of(page) == "fr"
    assert page.cookies[CHOSEN]["max-age"] == 0


def test_the_kept_login_page_is_kept_for_each_language(app: Application) -> None:
    pages = [Client().get("/login", HTTP_ACCEPT_LANGUAGE=tag) for tag in ("de", "fr", "de", "en")]
    assert [language_of(page) for page in pages] == ["de", "fr", "de", "en"]


def test_the_protocols_own_words_are_for_developers() -> None:
    app = make_application()
    params = request_params(app, redirect_uri="https://elsewhere.example/", ui_locales="de")
    page = Client().get("/authorize", params).content.decode()
    assert "Die App, die Sie hierher geschickt hat, hat einen Fehler gemacht." in page
    assert re.search(r'<p lang="en" dir="ltr">[^<]*redirect_uri', page)


def test_the_administration_stays_english() -> None:
    admin = make_user(is_staff=True, is_superuser=True, language="de")
    page = browser(make_session(admin), HTTP_ACCEPT_LANGUAGE="de").get("/admin/")
    assert '<html lang="en' in page.content.decode()
    assert "Log out" in page.content.decode() or "Sign out" in page.content.decode()


def test_discovery_lists_the_languages() -> None:
    assert Client().get("/.well-known/openid-configuration").json()["ui_locales_supported"] == ["en", "de", "fr"]


@pytest.mark.parametrize(
    ("person", "asked_in", "subject"),
    [
        ({"language": "fr", "claims": {"locale": "de"}}, "de", "Choisissez un nouveau mot de passe pour Curfew"),
        ({"claims": {"locale": "de_CH"}}, "fr", "Wählen Sie ein neues Passwort für Curfew"),
        ({}, "fr", "Choisissez un nouveau mot de passe pour Curfew"),
    ],
)
def test_a_mail_is_in_the_persons_language(person: dict[str, Any], asked_in: str, subject: str) -> None:
    make_user(**person)
    Client().post("/account/password/reset/", {"email": "mary@fabrikamcorp.com"}, HTTP_ACCEPT_LANGUAGE=asked_in)
    send_mails()
    assert outbox.outbox[0].subject == subject


def test_a_security_mail_is_written_when_it_is_sent() -> None:
    """What was noted is codes and a User-Agent, not words."""
    mary = make_user(language="de")
    note_new_device(mary)
    send_mails()
    body = outbox.outbox[0].body
    assert outbox.outbox[0].subject == "Neues Gerät bei Curfew angemeldet"
    assert "Gerät: Firefox auf Windows" in body
    assert "Das waren nicht Sie?" in body


def note_new_device(user: User) -> SecurityMail:
    at = timezone.now()
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0"
    data = {"actor": "user", "user_agent": agent, "ip": "192.0.2.7"}
    security_mails.note(SecurityMailKind.NEW_DEVICE, user, once="x", happened_at=at, at=at, data=data)
    return SecurityMail.objects.get()


def request_url(app: Application, **params: Any) -> str:
    return f"/authorize?{urlencode(request_params(app, **params))}"
