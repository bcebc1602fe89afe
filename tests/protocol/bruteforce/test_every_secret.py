"""Every place that looks at a secret: each stops guessing, and each leaves a line in the audit.

`PLACES` is the table. The last tests walk what the product mounts and shows, and fail for a place that is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from unittest import mock

import pytest
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.conf import settings
from django.contrib import admin as django_admin
from django.core.cache import cache
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, get_resolver, reverse

from idp.connections.ldap.protocol import LdapProtocol
from idp.limits import limiter
from idp.models import Connection, User
from idp.tenants import configuration
from sessions_app.models import SessionEvent
from sessions_app.views.oauth import endpoint
from tests.support.factories import PASSWORD, browser, make_application, make_connection, make_session, make_user
from tests.support.oauth import post_form

pytestmark = pytest.mark.django_db
FEW = 3
LINK = "1-cqzv6o-0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """The same limits with small numbers, so that every place is walked to its end."""
    cache.clear()
    monkeypatch.setattr(limiter, "_blocked", limiter._Blocked())
    for name in ("ACCOUNT", "ADDRESS", "KNOWN", "CODE", "RECOVERY", "SECURITY_KEY", "ENDPOINT"):
        limit = getattr(limiter, name)
        monkeypatch.setattr(limiter, name, limiter.Limit(limit.kind, FEW, limit.window))
    monkeypatch.setattr(endpoint, "CLIENT_FAILURES", limiter.Limit("client", FEW, 300))


@dataclass(frozen=True)
class Place:
    """`guess` sends one wrong value and returns the answer; `url_names` are the paths that lead there."""

    guess: Callable[[Client], object]
    audit: str  # the event that tells of it
    who: str = "mary"  # the browser that guesses: nobody, mary (signed in), half (password proved only)
    url_names: tuple[str, ...] = ()


def posts(name: str, **data: str) -> Callable[[Client], object]:
    return lambda client: client.post(reverse(name), data)


def program(path: str) -> Callable[[Client], object]:
    form = {"client_id": "jwt-debugger", "client_secret": "wrong", "token": "x", "grant_type": "client_credentials"}
    return lambda _client: post_form(f"/{path}", form)


NEW = {"password1": "a brand new passphrase", "password2": "a brand new passphrase"}
WRONG_KEY = '{"id": "eA", "rawId": "eA", "type": "public-key", "response": {}}'
PLACES = {
    "sign-in": Place(
        posts("account_login", username="mary@fabrikamcorp.com", password="guess"),
        "sign_in_failed",
        "nobody",
        ("account_login",),
    ),
    "sign-in by passkey": Place(
        posts("account_login", credential=WRONG_KEY), "sign_in_failed", "nobody", ("account_login",)
    ),
    "confirmation": Place(
        posts("account_reauthenticate", password="guess"), "sign_in_failed", url_names=("account_reauthenticate",)
    ),
    "old password": Place(
        posts("account_change_password", oldpassword="guess", **NEW),
        "sign_in_failed",
        url_names=("account_change_password",),
    ),
    "second factor: code": Place(
        posts("mfa_authenticate", code="000000"), "second_factor_failed", "half", ("mfa_authenticate",)
    ),
    "second factor: recovery code": Place(
        posts("mfa_authenticate", code="00000000"), "second_factor_failed", "half", ("mfa_authenticate",)
    ),
    "second factor: security key": Place(
        posts("mfa_authenticate", credential=WRONG_KEY), "second_factor_failed", "half", ("mfa_authenticate",)
    ),
    "confirmation: code": Place(
        posts("mfa_reauthenticate", code="000000"), "second_factor_failed", url_names=("mfa_reauthenticate",)
    ),
    "confirmation: recovery code": Place(
        posts("mfa_reauthenticate", code="00000000"), "second_factor_failed", url_names=("mfa_reauthenticate",)
    ),
    "confirmation: security key": Place(
        posts("mfa_reauthenticate_webauthn", credential=WRONG_KEY),
        "second_factor_failed",
        url_names=("mfa_reauthenticate_webauthn",),
    ),
    "first code of a new app": Place(
        lambda client: confirmed(client).post(reverse("mfa_activate_totp"), {"code": "000000"}),
        "second_factor_failed",
        "plain",
        ("mfa_activate_totp",),
    ),
    "link to a new password": Place(
        lambda client: client.get(f"/account/password/reset/key/{LINK}/"),
        "guessing_throttled",
        "nobody",
        ("account_reset_password_from_key",),
    ),
    "link of an address": Place(
        lambda client: client.get("/account/email/confirm/Mjk:1abcde:guess/"),
        "guessing_throttled",
        "nobody",
        ("account_confirm_email",),
    ),
    "link of a security mail": Place(
        lambda client: client.get("/account/not-me/WyJhIl0:guess/"),
        "guessing_throttled",
        "nobody",
        ("this_was_not_me",),
    ),
    "link to an export": Place(
        lambda client: client.get("/exports/WyJhIl0:guess"), "guessing_throttled", "nobody", ("exported_people",)
    ),
    **{
        f"link of a mail: {name}": Place(
            lambda client, path=path: client.get(f"/{path}/key/{'g' * 43}"),  # type: ignore[misc]
            "guessing_throttled",
            "nobody",
            (name,),
        )
        for name, path in {
            "invitation_link": "invitation",
            "sign_up_link": "signup",
            "by_mail_link": "login/by-mail",
            "address_link": "account/address",
        }.items()
    },
    "code of a mail": Place(
        lambda client: waiting_for_a_code(client).post("/login/by-mail/code", {"code": "000000"}),
        "sign_in_failed",
        "nobody",
        ("by_mail_code",),
    ),
    "user code of a device": Place(
        lambda client: client.post("/activate", {"user_code": "BCDF-GHJK"}),
        "device_code_failed",
        url_names=("device_activate",),
    ),
    "registration access token": Place(
        lambda client: client.get("/oidc/register/jwt-debugger", headers={"Authorization": "Bearer guess"}),
        "guessing_throttled",
        "nobody",
        ("register_manage",),
    ),
    "metrics token": Place(
        lambda client: client.get("/metrics", headers={"Authorization": "Bearer guess"}),
        "guessing_throttled",
        "nobody",
        ("metrics",),
    ),
    "token of the Management API": Place(
        lambda client: client.get("/api/v2/users", headers={"Authorization": "Bearer guess"}),
        "guessing_throttled",
        "nobody",
        ("api_users",),
    ),
    "directory tried by an administrator": Place(
        lambda client: guessed_at_a_directory(client), "sign_in_failed", "boss", ("admin: connection: try-password",)
    ),
    **{
        f"client secret at {path}": Place(program(path), "guessing_throttled", "nobody", (name,))
        for path, name in {
            "oauth/token": "token",
            "oauth/revoke": "revoke",
            "oauth/introspect": "introspect",
            "oauth/device/code": "device_code",
            "oauth/par": "pushed_request",
        }.items()
    },
}
# What has such a field or value in its path and looks at no secret that anybody could guess, and why.
OTHERS = {
    "mfa_add_webauthn": "registers a key: what is posted is made by it, and nothing is compared",
    "account_add_passkey": "the same",
    "account_passkey_offer": "the same",
    "mfa_edit_webauthn": "gives a key of one's own another name",
    "sign_out_page": "256 random bits, bound to a browser; a wrong one is a page that has expired",
    "sign_out_status": "the same",
    "sign_out_outcome": "the same",
    "sign_out_retry": "the same",
    "sign_out_saml": "the same",
    "leave_upstream": "the same",
    "remove_application": "names an application, which is no secret; only the person's own consents are looked at",
    "saml_sign_on": "names an application, which is no secret; who asks is shown by a signature",
    "saml_idp_metadata": "names an application, which is no secret",
    "wsfed": "names an application or a connection, which is no secret",
    "wsfed_metadata": "the same",
    "saml_application_logout": "the same, and a signature",
    "saml_logout_answer": "256 random bits of an answer that waits for a person",
    "global_token_revocation_by_issuer": "a JWT that a connection's provider signed",
}


@pytest.fixture
def mary() -> User:
    user = make_user()
    make_application()
    Authenticator.objects.create(
        user=user, type=Authenticator.Type.TOTP, data={"secret": get_mfa_adapter().encrypt("JBSWY3DPEHPK3PXP")}
    )
    RecoveryCodes.activate(user)
    return user


@pytest.fixture
def browsers(mary, settings) -> dict[str, Client]:
    settings.METRICS_TOKEN = "the right one"
    tenant = configuration.load_tenant()
    tenant.dynamic_client_registration = True
    tenant.save()
    make_user("plain@fabrikamcorp.com")
    make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    return {who: a_browser(who) for who in ("nobody", "mary", "half", "plain", "boss")}


def a_browser(who: str) -> Client:
    if who == "nobody":
        return Client(raise_request_exception=False)
    if who == "half":
        half = Client(raise_request_exception=False)
        half.post("/login", {"username": "mary@fabrikamcorp.com", "password": PASSWORD})
        return half
    session = make_session(User.objects.get(email=f"{who}@fabrikamcorp.com"))
    return browser(session, raise_request_exception=False)


def confirmed(client: Client) -> Client:
    """allauth asks for a fresh proof before it shows a new secret."""
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return client


def waiting_for_a_code(client: Client) -> Client:
    if settings.MAIL_COOKIE_NAME not in client.cookies:
        make_connection(options={"email_sign_in": "code"})
        Connection.objects.update(options={"email_sign_in": "code"})
        configuration.bump()
        client.post("/login/by-mail", {"email": "mary@fabrikamcorp.com"})
    return client


def guessed_at_a_directory(client: Client) -> object:
    connection = Connection.objects.filter(name="AD").first() or make_connection("AD", "ad", enabled=False)
    with mock.patch.object(LdapProtocol, "prove", return_value=None):  # what a directory that was asked makes of it
        url = reverse("admin:idp_connection_act", args=(connection.pk, "try-password"))
        return client.post(url, {"username": "boss", "password": "guess"})


def is_refused(response) -> bool:
    text = response.content.decode()
    return response.status_code == 429 or "Too many" in text


@pytest.mark.parametrize("name", PLACES)
def test_guessing_is_stopped_and_audited(mary, browsers, name):
    """And 24 wrong old passwords that nothing answered."""
    place = PLACES[name]
    if name == "confirmation: security key":  # its page is for those who have one
        data = {"name": "a key", "credential": {}}
        Authenticator.objects.create(user=mary, type=Authenticator.Type.WEBAUTHN, data=data)
    answers = [place.guess(browsers[place.who]) for _ in range(6 * FEW)]
    assert {answer.status_code for answer in answers} <= {200, 302, 400, 401, 404, 410, 429}
    assert not is_refused(answers[0])
    assert is_refused(answers[-1])
    events = SessionEvent.objects.filter(type=place.audit)
    assert events.exists()
    assert events.count() < len(answers)


def test_the_old_password_shares_its_budget_with_the_sign_in(mary):
    client = browser(make_session(mary, initial_ip="203.0.113.77"))
    for _ in range(FEW):
        client.post(reverse("account_change_password"), {"oldpassword": "guess", **NEW})
    assert client.post("/login", {"username": mary.email, "password": PASSWORD}).status_code == 429
    page = client.post(reverse("account_change_password"), {"oldpassword": PASSWORD, **NEW})
    assert "Too many" in page.content.decode()
    assert User.objects.get(pk=mary.pk).check_password(PASSWORD)


def test_the_admin_asks_for_no_password_of_its_own():
    boss = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    for name in ("admin:password_change", "admin:password_change_done"):
        assert boss.get(reverse(name))["Location"] == reverse("account_change_password")
        assert boss.post(reverse(name), {"old_password": "guess"}).status_code == 302
    assert Client().get("/admin/login/")["Location"].startswith("/login")


# --- nothing is forgotten ----------------------------------------------------------------------------------------------------
KNOWN = {name for place in PLACES.values() for name in place.url_names} | set(OTHERS)
FIELDS = re.compile(r"^(old|current)_?password$|^password$|code|credential|secret|otp|pin$|key$|token$")
IN_PATHS = {"key", "token", "uidb36", "secret", "code", "client_id"}


def patterns(resolver=None) -> Iterator[URLPattern]:
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLPattern):
            if not str(entry.pattern).startswith("api/v2/") or entry.name == "api_users":  # one lock for all of them
                yield entry
        elif getattr(entry, "namespace", None) != "admin":  # its pages are walked below
            yield from patterns(entry)


def test_every_view_with_a_form_for_a_secret_is_in_the_table():
    found = {
        pattern.name
        for pattern in patterns()
        for form in [getattr(getattr(pattern.callback, "view_class", None), "form_class", None)]
        if form and any(FIELDS.search(name) for name in form.base_fields)
    }
    assert {"mfa_activate_totp", "mfa_reauthenticate", "mfa_reauthenticate_webauthn"} <= found
    assert found <= KNOWN


def test_every_path_with_a_secret_in_it_is_in_the_table():
    found = {pattern.name for pattern in patterns() if IN_PATHS & set(pattern.pattern.regex.groupindex)}
    assert "account_confirm_email" in found
    assert found <= KNOWN


def test_every_endpoint_where_programs_prove_who_they_are_is_in_the_table():
    marked = [pattern for pattern in patterns() if getattr(pattern.callback, "for_programs", False)]
    plain = [pattern.name for pattern in marked if not pattern.pattern.regex.groupindex]
    found = {name for name in plain if Client().get(reverse(name)).status_code == 405}
    assert "token" in found
    streams = {"ssf_verify", "ssf_add_subject", "ssf_remove_subject"}
    assert found <= KNOWN | {"userinfo", "register", "csp_reports"} | streams  # access tokens of 256 bits, and nothing


class _Inputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        is_new = given.get("autocomplete") == "new-password"  # set, not compared
        asks = given.get("type") == "password" or FIELDS.search(name)
        if tag == "input" and name != "csrfmiddlewaretoken" and asks and not is_new:
            self.found.add(name)


def secret_inputs(page: str) -> set[str]:
    parser = _Inputs()
    parser.feed(page)
    return parser.found


@pytest.mark.parametrize("who", ["nobody", "mary", "half", "plain"])
def test_every_page_that_asks_for_a_secret_is_in_the_table(browsers, who):
    asking = set()
    for name in {pattern.name for pattern in patterns()}:
        try:
            path = reverse(name)
        except NoReverseMatch:
            continue  # has a value in its path: see above
        answer = a_browser(who).get(path)  # a new one each: some of these pages sign out
        if answer.headers.get("Content-Type", "").startswith("text/html") and secret_inputs(answer.content.decode()):
            asking.add(name)
    assert "account_login" in asking or {"account_change_password", "account_reauthenticate"} <= asking
    assert asking <= KNOWN


def test_no_page_of_the_admin_asks_for_a_password_that_it_would_compare():
    boss = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    make_connection("Directory", "ad", options={"servers": ["ldaps://ldap.example"], "base_dn": "dc=x"})
    asking = set()
    for model, page in django_admin.site._registry.items():
        if page.has_add_permission(browser_request(boss)):
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
            asking |= {(url, name) for name in secret_inputs(boss.get(url).content.decode()) if "password" in name}
    assert asking == set()


def browser_request(client: Client):
    return client.get("/admin/").wsgi_request
