"""What a single sign-on by SAML costs beside one by OpenID Connect: CPU of one process, in pairs of one run.

    python bench/saml.py --pairs 8 --count 200

One person is signed in and opens applications in turn, twenty of each protocol: by OpenID Connect /authorize and the exchange of
the code, by SAML an AuthnRequest and its answer. Signatures are timed for themselves and taken out: SAML's is one of 3072 bits, of
a canonical document; the other is the ID token's. DATABASE_URL names an empty database that may be overwritten.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import secrets
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from bench import profiling  # noqa: E402

GOAL = 2.0
NUMBER = 20  # applications of each protocol


@dataclass
class Signing:
    """CPU seconds that went into signatures."""

    seconds: float = 0.0

    def timed(self, sign: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return sign(*arguments, **named)
            finally:
                self.seconds += time.process_time() - began

        return timed


@contextmanager
def watched() -> Iterator[Signing]:
    """Both protocols' signatures, where the code that sends them calls them."""
    from idp.crypto import keys
    from idp.saml import signing

    clock, before = Signing(), (keys._signature, signing.sign)
    keys._signature, signing.sign = clock.timed(before[0]), clock.timed(before[1])  # type: ignore[assignment]
    try:
        yield clock
    finally:
        keys._signature, signing.sign = before


@dataclass
class SamlSignOn:
    """Requests are written before they are measured: that is the application's work."""

    browser: profiling.Browser
    requests: list[str] = field(default_factory=list)
    turn: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(NUMBER)))

    def prepare(self, count: int) -> None:
        self.requests = [request(next(self.turn)) for _ in range(count)]

    def __call__(self) -> None:
        status, _, page = self.browser.send("GET", self.requests.pop())
        assert status == 200, page
        assert b"SAMLResponse" in page, page


def request(number: int) -> str:
    from django.utils import timezone

    message = (
        '<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" Version="2.0"'
        f' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_{secrets.token_hex(16)}"'
        f' IssueInstant="{timezone.now():%Y-%m-%dT%H:%M:%SZ}"><saml:Issuer>urn:saml-{number}</saml:Issuer></samlp:AuthnRequest>'
    )
    deflated = zlib.compress(message.encode(), 9)[2:-4]
    return f"/samlp/saml-{number}?SAMLRequest={quote(base64.b64encode(deflated), safe='')}&RelayState=%2F"


def register() -> None:
    from idp.models import Application

    for number in range(NUMBER):
        Application.objects.create(
            client_id=f"saml-{number}",
            name=f"saml-{number}",
            redirect_uris="https://app.example.com/acs",
            grant_types=[],
            saml={"audience": f"urn:saml-{number}"},
        )


def measure(act: Callable[[], None], count: int, clock: Signing) -> tuple[float, float]:
    """CPU milliseconds of one act, and of the signatures in it."""
    if isinstance(act, SamlSignOn):
        act.prepare(count)
    clock.seconds = 0.0
    whole = profiling.measure(act, count)
    return whole, clock.seconds * 1000 / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--count", type=int, default=200, help="sign-ins of each measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="curfew-saml-bench-") as folder:
        application = profiling.prepare(Path(folder))
        register()
        browser = profiling.Browser(application)
        browser.authorize()

        def by_openid_connect() -> None:
            browser.client = next(profiling.NEXT_CLIENT)
            browser.authorize()

        by_saml = SamlSignOn(browser)
        with watched() as clock:
            for act in (by_openid_connect, by_saml):
                measure(act, 3 * NUMBER, clock)  # caches, keys, and everybody has joined the session
            pairs = [
                (measure(by_openid_connect, options.count, clock), measure(by_saml, options.count, clock))
                for _ in range(options.pairs)
            ]
    report(pairs)


def report(pairs: list[tuple[tuple[float, float], tuple[float, float]]]) -> None:
    for name, column in (("OpenID Connect", 0), ("SAML", 1)):
        whole, signing = (statistics.median(pair[column][part] for pair in pairs) for part in (0, 1))
        print(f"{name}: {whole:.2f} ms of CPU, of which {signing:.2f} for signatures")
    for name, part in (("all of it", 0), ("signatures apart", 1)):
        ratios = sorted((saml[0] - part * saml[1]) / (other[0] - part * other[1]) for other, saml in pairs)
        median = statistics.median(ratios)
        verdict = "" if not part else f" (goal {GOAL}: {'reached' if median <= GOAL else 'missed'})"
        print(f"{name}: {median:.2f}, of single pairs {ratios[0]:.2f} to {ratios[-1]:.2f}{verdict}")


if __name__ == "__main__":
    main()
