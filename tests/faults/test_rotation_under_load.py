"""Keys rotate while applications sign people in, and nobody is refused: applications that keep the published set for exactly as
long as they may, and ask for no key in between. Times that are minutes and days otherwise are seconds here."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from django.conf import settings
from django.db import connection
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.crypto import keys, lifetimes, rotation
from idp.models import Application, ResourceServer, SigningKey
from sessions_app.models import SSOSession
from tests.support.factories import make_application, make_session, make_user
from tests.support.oauth import VERIFIER, credentials, header_of, request_params
from tests.support.processes import Installation

pytestmark = pytest.mark.django_db(transaction=True)
KEPT = 2  # seconds for which the set may be kept
VALID = 4  # seconds for which a token is valid
API = "https://api.example/"
ROTATIONS = 3
LIMIT = 120.0  # seconds; on an idle machine it takes twenty
LATE = 0.7  # seconds before its end at which a token is verified again


@dataclass
class StrictParty:
    """An application and the API that it calls: both believe their copy of the set, and nothing else."""

    base: str
    application: Application
    session: SSOSession
    http: requests.Session = field(default_factory=requests.Session)
    copy: KeySet | None = None
    fresh_until: float = 0.0
    verified: int = 0
    kids: set[str] = field(default_factory=set)
    rejected: list[str] = field(default_factory=list)
    later: list[tuple[float, str]] = field(default_factory=list)

    def once(self) -> None:
        tokens = self._sign_in()
        for raw in (tokens["id_token"], tokens["access_token"]):
            self._verify(raw, "new")
            self.later.append((time.time() + VALID - LATE, raw))
        self._verify_old()
        told = self.http.get(
            f"{self.base}userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}, timeout=30
        )
        assert told.status_code == 200, told.text

    def _verify_old(self) -> None:
        now = time.time()
        for at, raw in self.later:
            if at <= now < at + LATE:  # a machine that was busy for longer has no right to it any more
                self._verify(raw, "old")
        self.later = [(at, raw) for at, raw in self.later if at > now]

    def _sign_in(self) -> dict[str, str]:
        """Silently, as the browser that holds the session's cookie."""
        cookie = {"Cookie": f"{settings.SSO_COOKIE_NAME}={self.session.raw_cookie}"}  # type: ignore[attr-defined]
        asked = request_params(self.application, prompt="none", audience=API)
        answer = self.http.get(f"{self.base}authorize", params=asked, headers=cookie, allow_redirects=False, timeout=30)
        code = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))["code"]
        form = {"grant_type": "authorization_code", "redirect_uri": self.application.callbacks[0], "code": code}
        given = self.http.post(
            f"{self.base}oauth/token",
            data={**form, "code_verifier": VERIFIER, **credentials(self.application)},
            timeout=30,
        )
        assert given.status_code == 200, given.text
        found: dict[str, str] = given.json()
        return found

    def _verify(self, raw: str, age: str) -> None:
        kid = str(header_of(raw)["kid"])
        if kid not in {key.kid for key in self._keys().keys}:
            self.rejected.append(f"{age} token of {kid}")
            return
        jwt.decode(raw, self._keys(), algorithms=["RS256", "ES256"])
        self.kids.add(kid)
        self.verified += 1

    def _keys(self) -> KeySet:
        """Fresh for max-age from the moment when the answer had come (a careless reading of RFC 9111: the longest there is)."""
        if self.copy is None or time.monotonic() >= self.fresh_until:
            answer = self.http.get(f"{self.base}.well-known/jwks.json", timeout=30)
            found = re.search(r"max-age=(\d+)", answer.headers["Cache-Control"])
            assert found
            assert int(found[1]) == KEPT
            self.copy, self.fresh_until = KeySet.import_key_set(answer.json()), time.monotonic() + int(found[1])
        return self.copy


@pytest.fixture
def parties(installation: Installation) -> list[StrictParty]:
    ResourceServer.objects.create(
        identifier=API, token_dialect="rfc9068_profile", token_lifetime=VALID, signing_alg="ES256"
    )
    base, session = installation.environment["ISSUER"], make_session(make_user())
    return [
        StrictParty(base, make_application(f"Party {number}", id_token_lifetime=VALID), session) for number in range(2)
    ]


@pytest.mark.once
@pytest.mark.spec("OpenID Connect Core 1.0", "10.1.1", "Keys rotate without a token that cannot be verified")
def test_no_token_is_rejected_while_keys_rotate_again_and_again(
    installation: Installation, parties: list[StrictParty], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.JWKS_MAX_AGE = KEPT
    monkeypatch.setattr(lifetimes, "OTHER_TOKENS", timedelta(0))
    keys.ensure()
    installation.web(CURFEW_JWKS_MAX_AGE=str(KEPT), ISSUER=installation.environment["ISSUER"])
    stop, failures = threading.Event(), []

    def work(party: StrictParty) -> None:
        try:
            while not stop.is_set():
                party.once()
        except BaseException as error:  # noqa: BLE001  shown by the test's own thread
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(party,)) for party in parties]
    for thread in threads:
        thread.start()
    try:
        done = rotate_until_some_are_gone(lambda: bool(failures))
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert failures == []
    assert [party.rejected for party in parties] == [[], []]
    assert done["active"] >= ROTATIONS * len(keys.ALGORITHMS)
    assert done["gone"] >= 2
    for party in parties:
        assert len(party.kids) >= 2 * ROTATIONS, "tokens of each generation were verified, of both algorithms"
        assert party.verified > 20


def rotate_until_some_are_gone(failed: Any) -> dict[str, int]:
    done = {"published": 0, "active": 0, "retiring": 0, "gone": 0}
    began = time.monotonic()
    while not failed() and (done["active"] < ROTATIONS * len(keys.ALGORITHMS) or done["gone"] < 2):
        assert time.monotonic() - began < LIMIT, done
        for move in rotation.rotate(timezone.now(), force=True):
            done[move.act] += 1
        time.sleep(0.05)
    return done


def test_two_that_rotate_at_the_same_moment_publish_one_successor_each(transactional_db: None) -> None:
    keys.ensure()
    together, moves, now = threading.Barrier(2), [], timezone.now()

    def work() -> None:
        together.wait(30)
        try:
            moves.append([move.act for move in rotation.rotate(now, force=True)])
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(moves) == [[], ["published"] * len(keys.ALGORITHMS)]
    assert SigningKey.objects.filter(status="next").count() == len(keys.ALGORITHMS)
