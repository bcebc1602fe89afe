"""/oidc/logout over HTTP: RP-Initiated Logout 1.0 (rules R1 to R16 of docs/specs.md), and hints and targets that somebody made up."""

from __future__ import annotations

import json
import re
import time
from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from idp.crypto import keys
from idp.models import KeyStatus, SigningKey, TenantSettings
from idp.tenants import configuration
from logout_app.models import LogoutEvent
from tests.support.factories import browser, make_application, make_session, make_user

pytestmark = pytest.mark.django_db
OUT = "https://app.example/out"
PAGE_VISIT = {"Sec-Fetch-Dest": "document", "Accept": "text/html"}
METHODS = pytest.mark.parametrize("method", ["get", "post"])


@pytest.fixture
def app():
    return make_application("App", client_id="app", post_logout_redirect_uris=OUT)


@pytest.fixture
def session(app):
    return make_session(make_user(), app)


def id_token(session, *, typ="JWT", **changes):
    now = int(time.time())
    claims = {
        "iss": settings.ISSUER,
        "aud": "app",
        "sub": session.user.user_id,
        "sid": session.sid,
        "iat": now,
        "exp": now + 60,
    }
    return keys.sign({k: v for k, v in {**claims, **changes}.items() if v is not None}, typ=typ)


def is_live(session):
    session.refresh_from_db()
    return session.ended_at is None


def asks(response):
    return response.status_code == 200 and 'name="logout" value="yes"' in response.content.decode()


def answer_yes(client, page, **changes):
    question = re.search(r'name="question" value="([^"]+)"', page.content.decode())[1]
    return client.post("/oidc/logout/confirm", {"question": question, "logout": "yes", **changes})


def test_a_sign_out_costs_two_statements_and_five_on_sqlite(app):
    """The session, its end and what follows from it, which PostgreSQL writes as one."""
    app.backchannel_logout_uri = "https://app.example/bc"
    app.save()

    def statements() -> list[str]:
        session = make_session(make_user(f"{time.monotonic_ns()}@fabrikamcorp.com"), app)
        client, data = browser(session), {"id_token_hint": id_token(session), "post_logout_redirect_uri": OUT}
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/oidc/logout", data).status_code == 302
        return [query["sql"] for query in captured.captured_queries if "SAVEPOINT" not in query["sql"]]

    statements()  # configuration and keys are loaded with the first
    assert len(statements()) == (2 if connection.vendor == "postgresql" else 5)


@METHODS
@pytest.mark.spec("rp-initiated", "R1", "The endpoint takes GET and POST")
@pytest.mark.spec("rp-initiated", "R3", "The hint's issuer is validated")
@pytest.mark.spec("rp-initiated", "R12", "State comes back")
def test_the_hint_of_this_session_ends_it_without_a_question(app, session, method):
    data = {"id_token_hint": id_token(session), "post_logout_redirect_uri": OUT, "state": "a/b=="}
    response = getattr(browser(session), method)("/oidc/logout", data)
    assert (response.status_code, response["Location"]) == (302 if method == "get" else 303, OUT + "?state=a%2Fb%3D%3D")
    assert not is_live(session)
    assert response.cookies["curfew_sso"].value == ""


@METHODS
@pytest.mark.spec("rp-initiated", "R4", "Expired ID tokens are accepted as hints")
def test_an_expired_hint_of_this_session_is_accepted(app, session, method):
    hint = id_token(session, exp=1_600_000_000, iat=1_599_999_000)
    response = getattr(browser(session), method)("/oidc/logout", {"id_token_hint": hint})
    assert response.status_code == 200
    assert "You are signed out" in response.content.decode()
    assert not is_live(session)


@pytest.mark.parametrize("audience", [["app"], "app"])
def test_the_audience_may_be_a_list_of_one(app, session, audience):
    hint = id_token(session, aud=audience)
    response = browser(session).get("/oidc/logout", {"id_token_hint": hint, "post_logout_redirect_uri": OUT})
    assert response["Location"] == OUT


def test_an_es256_hint_is_verified_too(app, session):
    now = int(time.time())
    hint = keys.sign(
        {"iss": settings.ISSUER, "aud": "app", "sub": session.user.user_id, "sid": session.sid, "exp": now},
        algorithm="ES256",
    )
    browser(session).get("/oidc/logout", {"id_token_hint": hint})
    assert not is_live(session)


@METHODS
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"state": "x"},
        {"post_logout_redirect_uri": OUT},
        {"post_logout_redirect_uri": OUT, "state": "x"},
        {"client_id": "app", "post_logout_redirect_uri": OUT},
        {"logout_hint": "another-session"},
        {"ui_locales": "tlh xx-invalid"},
    ],
)
@pytest.mark.spec("rp-initiated", "R7", "Without a hint the person is asked")
@pytest.mark.spec("rp-initiated", "R14", "Unknown ui_locales are no error")
def test_without_a_hint_it_asks_and_nothing_has_ended(app, session, method, data):
    response = getattr(browser(session), method)("/oidc/logout", data)
    assert asks(response)
    assert is_live(session)
    assert "mary@fabrikamcorp.com" in response.content.decode()


@pytest.mark.spec("rp-initiated", "R7", "Yes must sign out")
def test_yes_signs_out_and_goes_to_the_validated_target(app, session):
    client = browser(session)
    page = client.get("/oidc/logout", {"client_id": "app", "post_logout_redirect_uri": OUT, "state": "s"})
    assert "form-action 'self' https://app.example" in page["Content-Security-Policy"]
    response = answer_yes(client, page)
    assert (response.status_code, response["Location"]) == (303, OUT + "?state=s")
    assert not is_live(session)


@pytest.mark.parametrize("data", [{}, {"state": "x"}, {"post_logout_redirect_uri": OUT}])
@pytest.mark.spec("rp-initiated", "R10", "Without a hint nobody is sent to a target that nobody vouches for")
def test_yes_without_a_known_target_ends_on_our_own_page(app, session, data):
    client = browser(session)
    response = answer_yes(client, client.get("/oidc/logout", data))
    assert response.status_code == 200
    assert "You are signed out" in response.content.decode()
    assert not is_live(session)


def test_the_person_may_stay(app, session):
    client = browser(session)
    assert 'href="/oidc/logout/stay"' in client.get("/oidc/logout").content.decode()
    assert "still signed in" in client.get("/oidc/logout/stay").content.decode()
    assert is_live(session)


@pytest.mark.spec("rp-initiated", "R5", "A hint of another session is suspect")
def test_a_hint_of_another_session_asks_and_yes_ends_the_browser_s_own_session_only(app, session):
    other = make_session(session.user, app)
    client = browser(session)
    page = client.get("/oidc/logout", {"id_token_hint": id_token(other)})
    assert asks(page)
    answer_yes(client, page)
    assert not is_live(session)
    assert is_live(other)


@METHODS
@pytest.mark.spec("rp-initiated", "R13", "Nobody signed in is no error")
def test_without_a_session_a_victim_s_hint_ends_nothing(app, session, method):
    """Nothing is revoked, and the browser gets where a registered target leads, or our page."""
    data = {"id_token_hint": id_token(session, exp=1_600_000_000)}
    page = getattr(Client(), method)("/oidc/logout", data)
    assert "You are signed out" in page.content.decode()
    redirected = getattr(Client(), method)("/oidc/logout", {**data, "post_logout_redirect_uri": OUT})
    assert redirected["Location"] == OUT
    assert is_live(session)
    assert not LogoutEvent.objects.exists()


def unsigned(session):
    def part(value):
        return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part({'iss': settings.ISSUER, 'aud': 'app', 'sid': session.sid, 'sub': session.user.user_id})}."


def forged(session, key, algorithm, kid):
    claims = {
        "iss": settings.ISSUER,
        "aud": "app",
        "sub": session.user.user_id,
        "sid": session.sid,
        "exp": 9_999_999_999,
    }
    return jwt.encode({"alg": algorithm, "typ": "JWT", "kid": kid}, claims, key, algorithms=[algorithm])


def our_kid():
    keys.ensure()
    return SigningKey.objects.get(algorithm="RS256", status=KeyStatus.ACTIVE)


BAD_HINTS = {
    "alg none": unsigned,
    "attacker's key": lambda s: forged(s, RSAKey.generate_key(2048), "RS256", our_kid().kid),
    "HS256 with our public key": lambda s: forged(
        s, OctKey.import_key(json.dumps(our_kid().public_jwk)), "HS256", our_kid().kid
    ),
    "HS256 with the secret": lambda s: forged(
        s, OctKey.import_key("a-test-secret-of-enough-length-0123456789"), "HS256", our_kid().kid
    ),
    "ES256 header on an RS256 key": lambda s: id_token(s).replace(
        id_token(s).split(".")[0],
        urlsafe_b64encode(json.dumps({"alg": "ES256", "kid": our_kid().kid}).encode()).decode().rstrip("="),
    ),
    "broken signature": lambda s: id_token(s)[:-8] + "AAAAAAAA",
    "another issuer": lambda s: id_token(s, iss="https://evil.example/"),
    "no issuer": lambda s: id_token(s, iss=None),
    "no audience": lambda s: id_token(s, aud=None),
    "numbers as audience": lambda s: id_token(s, aud=[1, 2]),
    "no subject": lambda s: id_token(s, sub=None),
    "a list as sid": lambda s: id_token(s, sid=["x"]),
    "an access token": lambda s: id_token(s, typ="at+jwt"),
    "a logout token": lambda s: id_token(s, typ="logout+jwt", events={}),
    "a logout token typed JWT": lambda s: id_token(
        s, events={"http://schemas.openid.net/event/backchannel-logout": {}}
    ),
    "a revocation token": lambda s: id_token(s, typ="global-token-revocation+jwt"),
    "not a token": lambda _: "nonsense",
    "three dots of nothing": lambda _: "..",
    "payload is a list": lambda s: f"{id_token(s).split('.')[0]}.{urlsafe_b64encode(b'[1]').decode()}.AAAA",
    "invalid UTF-8": lambda _: f"{urlsafe_b64encode(b'{%s}' % bytes([255])).decode().rstrip('=')}.AAAA.AAAA",
    "deep JSON": lambda _: f"{urlsafe_b64encode(b'[' * 5000).decode().rstrip('=')}.AAAA.AAAA",
    "not ASCII": lambda _: "é.é.é",
    "900 KB": lambda _: "A" * 900_000,
    "kid with NUL": lambda s: forged(s, RSAKey.generate_key(2048), "RS256", "a\x00b"),
}


@METHODS
@pytest.mark.parametrize("hint", BAD_HINTS.values(), ids=BAD_HINTS)
@pytest.mark.spec("rp-initiated", "R3", "The OP validates that it issued the hint")
@pytest.mark.spec("rp-initiated", "R11", "An error never redirects and still offers to sign out")
def test_a_bad_hint_gets_a_page_that_offers_to_sign_out(app, session, method, hint):
    data = {"id_token_hint": hint(session), "post_logout_redirect_uri": OUT, "client_id": "app"}
    response = getattr(browser(session), method)("/oidc/logout", data)
    assert response.status_code == 400
    assert "Location" not in response
    assert 'href="/oidc/logout"' in response.content.decode()
    assert is_live(session)


@pytest.mark.parametrize("extensions", [{}, {"b64": False}, {"b64": False, "crit": ["b64"]}, {"crit": []}], ids=str)
def test_a_hint_that_we_signed_with_extensions_is_none_of_ours(app, session, extensions):
    """RFC 7515 section 4.1.11, RFC 7797: what is signed may then be something else than what is read."""
    kid = our_kid().kid
    header = {"alg": "RS256", "typ": "JWT", "kid": kid, **extensions}
    message = ".".join([encoded(json.dumps(header).encode()), id_token(session).split(".")[1]])
    key = keys.active("RS256", configuration.current()).key.private_key
    signature = key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())
    data = {"id_token_hint": f"{message}.{encoded(signature)}", "post_logout_redirect_uri": OUT}
    assert browser(session).get("/oidc/logout", data).status_code == (400 if extensions else 302)
    assert is_live(session) == bool(extensions)


def encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).decode().rstrip("=")


@pytest.mark.parametrize("kept", ["a" * 32, "", "x", "!" * 32])
def test_a_sign_out_leaves_no_csrf_secret_with_the_browser(app, session, kept):
    client = browser(session)
    client.cookies[settings.CSRF_COOKIE_NAME] = kept
    client.get("/oidc/logout", {"id_token_hint": id_token(session), "post_logout_redirect_uri": OUT})
    assert not is_live(session)
    assert client.cookies[settings.CSRF_COOKIE_NAME].value == ""


def test_a_hint_of_a_key_that_is_gone_says_nothing_so_it_asks(app, session):
    hint = id_token(session)
    row = our_kid()
    row.status = KeyStatus.GONE
    row.save()
    assert asks(browser(session).get("/oidc/logout", {"id_token_hint": hint, "post_logout_redirect_uri": OUT}))
    assert is_live(session)


@METHODS
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"client_id": "nobody"},
        {"client_id": "a\x00"},
        {"logout_hint": "other-session"},
        {"post_logout_redirect_uri": OUT + "?x=1"},
        {"post_logout_redirect_uri": "https://evil.example/"},
        {"post_logout_redirect_uri": "//evil.example"},
        {"post_logout_redirect_uri": "javascript:alert(1)"},
        {"post_logout_redirect_uri": OUT + "\r\nSet-Cookie: x=1"},
    ],
)
@pytest.mark.spec("rp-initiated", "R6", "client_id must be the hint's application")
@pytest.mark.spec("rp-initiated", "R9", "Only an exactly registered target is followed")
def test_what_does_not_fit_together_ends_nothing_and_redirects_nowhere(app, session, method, changes):
    make_application("Other", client_id="other")
    data = {"id_token_hint": id_token(session), "post_logout_redirect_uri": OUT, **changes}
    response = getattr(browser(session), method)("/oidc/logout", data)
    assert response.status_code == 400
    assert "Location" not in response
    assert "x" not in response.cookies
    assert is_live(session)


def test_a_repeated_parameter_is_refused(app, session):
    response = browser(session).get("/oidc/logout?client_id=app&client_id=app")
    assert response.status_code == 400


@pytest.mark.spec("rp-initiated", "R14", "logout_hint is the sid")
def test_nextjs_sends_the_sid_as_logout_hint(app, session):
    """Auth0's SDK for Next.js does."""
    data = {"client_id": "app", "logout_hint": session.sid, "post_logout_redirect_uri": OUT, "federated": ""}
    assert browser(session).get("/oidc/logout", data)["Location"] == OUT
    assert not is_live(session)


@pytest.mark.parametrize(("destination", "ends"), [("document", True), ("image", False), ("iframe", False)])
def test_a_tenant_may_switch_the_question_off_for_pages_only(app, session, destination, ends):
    """Auth0's setting of the tenant; a frame or an image is no visit of a person."""
    TenantSettings.objects.get_or_create(pk=1)
    tenant = TenantSettings.objects.get()
    tenant.oidc_logout_prompt_enabled = False
    tenant.save()
    browser(session).get("/oidc/logout", headers={"Sec-Fetch-Dest": destination})
    assert is_live(session) is not ends


@pytest.mark.parametrize("destination", ["image", "iframe", "frame", "embed", "object", "script", "empty"])
@pytest.mark.parametrize("hint", ["id_token_hint", "logout_hint"])
def test_a_part_of_another_page_asks_although_it_names_the_session(app, session, destination, hint):
    client = browser(session)
    data = {hint: id_token(session) if hint == "id_token_hint" else session.sid, "post_logout_redirect_uri": OUT}
    page = client.get("/oidc/logout", {**data, "client_id": "app"}, headers={"Sec-Fetch-Dest": destination})
    assert asks(page)
    assert is_live(session)
    assert answer_yes(client, page)["Location"] == OUT
    assert not is_live(session)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Mode": "cors", "Accept": "*/*"},  # Node.js's fetch, which says no more
    ],
)
def test_a_page_and_a_program_that_name_the_session_are_not_asked(app, session, headers):
    client = browser(session)
    data = {"id_token_hint": id_token(session), "post_logout_redirect_uri": OUT}
    assert client.get("/oidc/logout", data, headers=headers).status_code == 302
    assert not is_live(session)


def strict(session):
    return browser(session, enforce_csrf_checks=True)


@pytest.mark.parametrize("attack", ["no token", "a token of another browser", "Origin null", "another site"])
def test_the_answer_must_come_from_our_own_page(app, session, attack):
    client = strict(session)
    page = client.get("/oidc/logout")
    html = page.content.decode()
    data = {"question": re.search(r'name="question" value="([^"]+)"', html)[1], "logout": "yes"}
    if attack != "no token":
        source = strict(session).get("/oidc/logout").content.decode() if attack.startswith("a token") else html
        data["csrfmiddlewaretoken"] = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', source)[1]
    origin = {"Origin null": "null", "another site": "https://evil.example"}.get(attack, "http://testserver")
    response = client.post("/oidc/logout/confirm", data, headers={"Origin": origin})
    assert response.status_code == 403
    assert is_live(session)


def test_the_answer_from_our_own_page_counts(app, session):
    client = strict(session)
    html = client.get("/oidc/logout").content.decode()
    data = {name: re.search(rf'name="{name}" value="([^"]+)"', html)[1] for name in ("question", "csrfmiddlewaretoken")}
    client.post("/oidc/logout/confirm", {**data, "logout": "yes"}, headers={"Origin": "http://testserver"})
    assert not is_live(session)


def test_an_answer_to_a_question_about_another_session_is_asked_again(app, session):
    client = browser(session)
    page = client.get("/oidc/logout")
    newer = make_session(session.user, app)
    client.cookies["curfew_sso"] = newer.raw_cookie
    assert asks(answer_yes(client, page))
    assert is_live(session)
    assert is_live(newer)


def test_a_forged_question_is_refused(app, session):
    client = browser(session)
    assert answer_yes(client, client.get("/oidc/logout"), question="forged").status_code == 400
    assert is_live(session)


def test_anything_but_yes_is_no(app, session):
    client = browser(session)
    assert asks(answer_yes(client, client.get("/oidc/logout"), logout="no"))
    assert is_live(session)


def test_the_question_cannot_be_framed(app, session):
    page = browser(session).get("/oidc/logout")
    assert page["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]


def test_a_cross_site_post_without_the_cookie_comes_back_from_our_own_origin(app, session):
    """With a Lax cookie Mary would stay signed in behind a success redirect."""
    data = {"id_token_hint": id_token(session), "post_logout_redirect_uri": OUT, "state": "<s>"}
    page = Client().post("/oidc/logout", data, headers={"Sec-Fetch-Site": "cross-site"})
    html = page.content.decode()
    assert "data-submit" in html
    assert "&lt;s&gt;" in html
    assert "form-action 'self' https://app.example" in page["Content-Security-Policy"]
    again = browser(session).post(
        "/oidc/logout", {**data, "curfew_resubmitted": "1"}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert again.status_code == 303
    assert not is_live(session)


def test_it_comes_back_only_once(app):
    data = {"client_id": "app", "post_logout_redirect_uri": OUT, "curfew_resubmitted": "1"}
    assert Client().post("/oidc/logout", data, headers={"Sec-Fetch-Site": "cross-site"})["Location"] == OUT


def test_applications_hear_before_the_browser_goes_back(session):
    """R8: the deliveries are planned in the same transaction, for the initiator too."""
    told = make_application(
        "Told", client_id="told", backchannel_logout_uri="https://told.example/bc", post_logout_redirect_uris=OUT
    )
    session = make_session(session.user, told)
    client = browser(session)
    data = {"id_token_hint": id_token(session, aud="told"), "post_logout_redirect_uri": OUT}
    response = client.get("/oidc/logout", data, headers=PAGE_VISIT)
    assert response["Location"].startswith("/logout/")
    assert list(LogoutEvent.objects.get().deliveries.values_list("client_id", "channel")) == [("told", "backchannel")]
