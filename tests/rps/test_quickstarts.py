"""docs/quickstarts/flask.md, express.md, spa.md and native.md: their code, taken from the pages, against a Curfew with their tenant files."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.jws import JWSRegistry
from playwright.sync_api import Browser, Page, expect

from tests.rps.conftest import World
from tests.rps.quickstarts import SERVED, Place, inside
from tests.rps.running import CLIENT_SECRET, MARY, PATIENCE, STARTUP, program, sign_in
from tests.support.chromium import new_page
from tests.support.processes import is_ready
from tests.support.receiver import wait_until
from tests.support.stack import ROOT, clean_environment

pytestmark = pytest.mark.once
BACK = "OpenID Connect Back-Channel Logout 1.0"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
WEEK = 7 * 86400  # the tenant's lifetime of sessions
# JWKs of the keys that sign, and whom a token may be about.
SECRETS_OF_CURFEW = """
import json
from idp.crypto import keys
from idp.models import User
from idp.tenants import configuration
keys.ensure()
found = [keys.active(algorithm, configuration.current()) for algorithm in ("RS256", "ES256")]
jwks = {each.algorithm: {**each.key.as_dict(private=True), "kid": each.kid} for each in found}
print(json.dumps({**jwks, "sub": User.objects.get(email="MARY").user_id}))
""".replace("MARY", MARY)
KEY_THAT_IS_NEW = """
import json
from django.utils import timezone
from idp.crypto import keys, rotation
from idp.models import SigningKey
rotation.rotate(timezone.now(), force=True)
new = keys._load(SigningKey.objects.get(algorithm="RS256", status="next"))
print(json.dumps({**new.key.as_dict(private=True), "kid": new.kid}))
"""


@dataclass(frozen=True, slots=True)
class Quickstarts:
    """The running Curfew and applications, its keys, and Mary's `sub`."""

    world: World
    secrets: Mapping[str, Any]

    @property
    def issuer(self) -> str:
        return self.world.issuer


@pytest.fixture(scope="module")
def running(world: World) -> Iterator[Quickstarts]:
    (world.folder / "node_modules").symlink_to(ROOT / "node_modules")
    package = ROOT / "node_modules/@auth0/auth0-spa-js/dist/auth0-spa-js.production.js"
    spa = world.quickstarts["spa"].folder
    shutil.copy(package, spa)
    (spa / "app.js").write_text(
        (spa / "app.js").read_text().replace("https://id.example.com", world.issuer.rstrip("/"))
    )
    wait_until(lambda: is_ready(f"{world.issuer}readyz"), STARTUP, "Curfew is not ready")
    with contextlib.ExitStack() as stack:
        for place in map(world.quickstarts.__getitem__, SERVED):
            stack.enter_context(program(place.argv(), place.environment(world.issuer), world.folder, place.port))
        yield Quickstarts(world, inside(world.environment, SECRETS_OF_CURFEW))


@pytest.fixture(params=("flask", "express"))
def place(request: pytest.FixtureRequest, running: Quickstarts) -> Place:
    return running.world.quickstarts[request.param]


def is_signed_in(page: Page, place: Place) -> bool:
    page.goto(f"{place.base}/")
    text = page.inner_text("body")
    assert (MARY in text) is ("Nobody is signed in" not in text), text
    return MARY in text


def log_in(page: Page, place: Place) -> None:
    page.goto(f"{place.base}/login")
    sign_in(page)
    page.wait_for_url(f"{place.base}/")
    assert is_signed_in(page, place)


def post(place: Place, token: str) -> requests.Response:
    answer = requests.post(f"{place.base}/backchannel-logout", data={"logout_token": token}, timeout=PATIENCE)
    assert answer.headers["Cache-Control"] == "no-store"
    return answer


def good(running: Quickstarts, place: Place) -> dict[str, Any]:
    """The claims of a logout token that ends Mary's sessions there."""
    now = int(time.time())
    return {
        "iss": running.issuer,
        "aud": place.client["client_id"],
        "iat": now,
        "exp": now + 120,
        "jti": secrets.token_hex(16),
        "events": {EVENT: {}},
        "sub": running.secrets["sub"],
    }


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def signed(jwk: Mapping[str, Any], claims: Any, **header: Any) -> str:
    """A JWS with whatever is given, rules or not."""
    kinds: dict[str, tuple[Any, str]] = {"RSA": (RSAKey, "RS256"), "EC": (ECKey, "ES256"), "oct": (OctKey, "HS256")}
    kind, algorithm = kinds[jwk["kty"]]
    message = f"{encoded({'alg': algorithm, 'typ': 'logout+jwt', 'kid': jwk['kid'], **header})}.{encoded(claims)}"
    signature = JWSRegistry.algorithms[algorithm].sign(message.encode(), kind.import_key(dict(jwk)))
    return f"{message}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def unsigned(claims: dict[str, Any]) -> str:
    return f"{encoded({'alg': 'none', 'typ': 'logout+jwt'})}.{encoded(claims)}."


def forged(running: Quickstarts, place: Place) -> dict[str, str]:
    """Tokens that must end nothing. Most are signed by Curfew itself, and one claim is wrong."""
    ours, claims, now = running.secrets["RS256"], good(running, place), int(time.time())
    stranger = RSAKey.generate_key(2048, private=True).as_dict(private=True)
    secret = {"kty": "oct", "k": base64.urlsafe_b64encode(CLIENT_SECRET.encode()).rstrip(b"=").decode()}

    def without(name: str) -> str:
        return signed(ours, {key: value for key, value in claims.items() if key != name})

    return {
        "no token": "",
        "text": "a token, says a stranger: ü",
        "three parts": "e30.e30.e30",
        "signed by a stranger": signed({**stranger, "kid": ours["kid"]}, claims),
        "a stranger's key by its own name": signed({**stranger, "kid": "a-strangers"}, claims),
        "unsigned": unsigned(claims),
        "signed with the client secret": signed({**secret, "kid": ours["kid"]}, claims),
        "signed by Curfew, by another algorithm": signed(running.secrets["ES256"], claims),
        "changed afterwards": signed(ours, claims)[:-12] + "AAAAAAAAAAAA",
        "of another kind": signed(ours, claims, typ="JWT"),
        "key id that is no text": signed(ours, claims, kid=5),
        "no object": signed(ours, [claims]),
        "another issuer": signed(ours, claims | {"iss": "https://id.example.org/"}),
        "for another application": signed(ours, claims | {"aud": "another"}),
        "for others": signed(ours, claims | {"aud": ["another", "a-third"]}),
        "no events": without("events"),
        "another event": signed(ours, claims | {"events": {"https://example.com/event": {}}}),
        "the event in a list": signed(ours, claims | {"events": [EVENT]}),
        "the event without an object": signed(ours, claims | {"events": {EVENT: "yes"}}),
        "a nonce": signed(ours, claims | {"nonce": "n"}),
        "a nonce that is null": signed(ours, claims | {"nonce": None}),
        "of nobody": without("sub"),
        "of a number": signed(ours, claims | {"sub": 5}),
        "session as an object": signed(ours, claims | {"sid": {"$ne": ""}}),
        "expired": signed(ours, claims | {"iat": now - 300, "exp": now - 180}),
        "made in an hour": signed(ours, claims | {"iat": now + 3600, "exp": now + 3720}),
        "a time as text": signed(ours, claims | {"exp": "tomorrow"}),
        "a jti that is no text": signed(ours, claims | {"jti": ["j"]}),
        **{f"no {name}": without(name) for name in ("iss", "aud", "iat", "exp", "jti")},
    }


@pytest.mark.spec(BACK, "2.5", "B10 the logout token reaches the application, which ends its session")
@pytest.mark.spec(BACK, "2.6", "B14 a receiver ends the session that the sid names, and no other")
def test_signing_out_elsewhere_ends_its_session_and_no_other(
    running: Quickstarts, place: Place, page: Page, browser: Browser
) -> None:
    with new_page(browser) as other:
        log_in(page, place)
        log_in(other, place)
        page.goto(f"{running.issuer}v2/logout")
        wait_until(lambda: not is_signed_in(page, place), PATIENCE, "the application still believes that Mary is there")
        assert is_signed_in(other, place)


@pytest.mark.spec("OpenID Connect RP-Initiated Logout 1.0", "2", "R9 back to exactly the registered URI")
def test_its_own_sign_out_ends_both_sessions_and_comes_back(place: Place, page: Page) -> None:
    log_in(page, place)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile(rf"^{place.base}/(\?|$)"))
    assert not is_signed_in(page, place)
    page.goto(f"{place.base}/login")
    assert page.locator("input[name=password]").is_visible()


def test_forged_logout_tokens_end_nothing_and_a_genuine_one_counts_once(
    running: Quickstarts, place: Place, page: Page
) -> None:
    log_in(page, place)
    answers = {what: post(place, token).status_code for what, token in forged(running, place).items()}
    assert {what: status for what, status in answers.items() if status != 400} == {}
    assert requests.post(f"{place.base}/backchannel-logout", timeout=PATIENCE).status_code == 400
    assert is_signed_in(page, place)
    genuine = signed(running.secrets["RS256"], good(running, place))
    assert post(place, genuine).status_code == 200
    assert not is_signed_in(page, place)
    assert post(place, genuine).status_code == 400, "heard before"


def test_a_key_that_is_new_at_curfew_is_looked_for(running: Quickstarts, place: Place) -> None:
    """Half a minute after the keys were read last."""
    assert post(place, signed(running.secrets["RS256"], good(running, place))).status_code == 200
    new = inside(running.world.environment, KEY_THAT_IS_NEW)
    place.ahead(40)
    try:
        assert post(place, signed(new, good(running, place))).status_code == 200
    finally:
        place.ahead(0)


@pytest.mark.spec("IPSIE OpenID Connect SL1", "3", "The application's session ends at session_expiry")
def test_its_session_ends_when_ours_ends_without_being_told(place: Place, page: Page) -> None:
    log_in(page, place)
    try:
        place.ahead(WEEK - 3600)
        assert is_signed_in(page, place)
        place.ahead(WEEK)
        assert not is_signed_in(page, place), "a month is the application's own"
    finally:
        place.ahead(0)


def log_in_to_the_page(page: Page, base: str) -> None:
    page.goto(f"{base}/")
    expect(page.locator("#status")).to_have_text("Nobody is signed in")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/login**")
    sign_in(page)
    expect(page.locator("#status")).to_have_text(f"Signed in as {MARY}", timeout=20_000)


def test_the_page_notices_a_sign_out_when_it_comes_to_the_front(running: Quickstarts, page: Page) -> None:
    log_in_to_the_page(page, running.world.quickstarts["spa"].base)
    to_the_front = "document.dispatchEvent(new Event('visibilitychange'))"
    with page.expect_response("**/authorize?**prompt=none**"):
        page.evaluate(to_the_front)
    expect(page.locator("#status")).to_have_text(f"Signed in as {MARY}")
    page.context.new_page().goto(f"{running.issuer}v2/logout")
    page.bring_to_front()
    page.evaluate(to_the_front)
    expect(page.locator("#status")).to_have_text("Nobody is signed in", timeout=20_000)


def test_the_sign_out_of_the_page_comes_back(running: Quickstarts, page: Page) -> None:
    base = running.world.quickstarts["spa"].base
    log_in_to_the_page(page, base)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#status")).to_have_text("Nobody is signed in", timeout=20_000)
    assert page.url == f"{base}/"
    assert page.context.request.get(f"{running.issuer}user/ssodata").json() == {"sso": False}


class Desk:
    """The program of native.md, and the browser of whoever uses it."""

    def __init__(self, world: World, page: Page) -> None:
        self.place, self.page, self.folder = world.quickstarts["native"], page, world.folder
        self.env = {**clean_environment(), **self.place.environment(world.issuer), "PATH": os.environ["PATH"]}
        self.kept = Path(self.env["DESK_FILE"])

    def says(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            [*self.place.argv(), command], env=self.env, capture_output=True, text=True, timeout=PATIENCE
        )
        return done.returncode, (done.stdout + done.stderr).strip()

    @contextlib.contextmanager
    def browsing(self, command: str) -> Iterator[str]:
        """While the program waits for the browser; the address that it opened."""
        argv = [*self.place.argv(), command]
        with subprocess.Popen(
            argv, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            try:
                assert running.stdout is not None
                yield running.stdout.readline().split()[-1]
                self.said, code = running.communicate(timeout=PATIENCE)[0].strip(), running.wait()
                assert code == 0, self.said
            finally:
                running.kill()

    def log_in(self) -> None:
        with self.browsing("login") as url:
            self.page.goto(url)
            sign_in(self.page)
            self.page.wait_for_url("http://127.0.0.1:*/callback?**")
        assert self.said == f"Signed in as {MARY}."


@pytest.fixture
def desk(running: Quickstarts, page: Page) -> Iterator[Desk]:
    found = Desk(running.world, page)
    yield found
    found.kept.unlink(missing_ok=True)
    found.place.ahead(0)


@pytest.mark.spec("RFC 8252", "7.3", "A native application comes back by a loopback port of its choice")
def test_a_native_application_learns_of_a_sign_out_elsewhere_when_it_renews(running: Quickstarts, desk: Desk) -> None:
    assert desk.says("whoami") == (1, "Nobody is signed in.")
    with desk.browsing("login") as url:
        back = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        for stranger in ("/", "/callback?code=stolen&state=wrong", "/callback?state=%ff"):
            requests.get(back.removesuffix("/callback") + stranger, timeout=PATIENCE)
        desk.page.goto(url)
        sign_in(desk.page)
    assert desk.said == f"Signed in as {MARY}."
    assert desk.kept.stat().st_mode & 0o777 == 0o600
    assert desk.says("whoami") == (0, f"Signed in as {MARY}.")
    desk.page.goto(f"{running.issuer}v2/logout")
    assert desk.says("whoami") == (1, "The session has ended: you were signed out.")
    assert not desk.kept.exists()


def test_the_sign_out_of_a_native_application_ends_the_session_and_comes_back(running: Quickstarts, desk: Desk) -> None:
    desk.log_in()
    with desk.browsing("logout") as url:
        desk.page.goto(url)
        desk.page.wait_for_url("http://127.0.0.1:*/signed-out?**")
    assert (desk.said, desk.kept.exists()) == ("Signed out.", False)
    assert desk.page.context.request.get(f"{running.issuer}user/ssodata").json() == {"sso": False}


def test_a_native_application_knows_the_end_of_the_session_without_asking(desk: Desk) -> None:
    desk.log_in()
    desk.place.ahead(WEEK)
    assert desk.says("whoami") == (1, "The session has ended.")


def test_the_code_of_the_pages_is_formatted_as_ours(running: Quickstarts) -> None:
    argv = [
        str(Path(sys.executable).parent / "ruff"),
        "format",
        "--check",
        *(str(running.world.quickstarts[name].folder) for name in ("flask", "native")),
    ]
    done = subprocess.run([*argv, "--config", str(ROOT / "pyproject.toml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
