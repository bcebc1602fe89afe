"""What will happen to an application at sign-out, judged from one answer of each of its logout URLs.

Each finding is one sentence for an administrator. Front channel: what browsers do with the frame (RFC 7034, CSP 3
frame-ancestors, mixed content, third-party cookies). Back channel: what a well-made endpoint says to a token that is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urljoin

from logout_app.protocol import redirects


class Verdict(StrEnum):
    """How a finding is marked: it works, it may not work for everybody, it does not work."""

    GOOD = "fine"
    HINT = "warn"
    BAD = "bad"

    @property
    def label(self) -> str:
        return {"fine": "Works", "warn": "Look at this", "bad": "Does not work"}[self.value]


@dataclass(frozen=True, slots=True)
class PreflightFinding:
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """An HTTP answer; header names in lower case, one entry for each header line."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name]

    def one(self, name: str) -> str:
        return next(iter(self.all(name)), "")


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """`tls`: the connection stood, but its certificate was refused."""

    reason: str
    tls: bool = False


Outcome = ProbeAnswer | NoAnswer

_SOURCE = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>\*|(?:\*\.)?[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]+|\*))?(?:/.*)?"
)
_DEFAULT_PORTS = {"https": "443", "http": "80"}


def front_channel(
    uri: str, outcome: Outcome, *, issuer_origin: str, gets_sid: bool, has_back_channel: bool
) -> list[PreflightFinding]:
    """Whether the frame at `uri` can end the application's session from the sign-out page of `issuer_origin`."""
    if refusal := not_framed(uri, issuer_origin):
        return [refusal]
    if isinstance(outcome, NoAnswer):
        return [unreachable("The front-channel page", outcome)]
    target = redirects.parse(uri)
    origin = target.origin if target else ""
    found = _status_of_frame(uri, outcome, issuer_origin)
    found += framing(outcome, origin, issuer_origin)
    if _host(origin) != _host(issuer_origin):
        found += _cookies(outcome, has_back_channel=has_back_channel)
    if "no-store" not in outcome.one("cache-control").lower():
        found.append(
            hint("Its answer has no Cache-Control: no-store, so a browser may answer from its cache without asking.")
        )
    if not gets_sid:
        found.append(hint("It gets no iss and sid, so it can only go by its own cookie to find the session to end."))
    return found


def back_channel(uri: str, outcome: Outcome) -> list[PreflightFinding]:
    """Whether the endpoint at `uri` is there; it was sent a `logout_token` that is none, which it must refuse with 400."""
    found = []
    if uri.lower().startswith("http:"):
        found.append(hint("The back-channel URL is http: whoever is on the way can read and drop logout tokens."))
    if isinstance(outcome, NoAnswer):
        return [*found, unreachable("The back-channel URL", outcome)]
    return [*found, _status_of_endpoint(outcome.status)]


def _status_of_endpoint(status: int) -> PreflightFinding:
    if status == 400:
        return good("It is reachable and refuses a token that is none with 400, as it should.")
    if 200 <= status < 300:
        return hint(f"It is reachable, but answers {status} to a token that is none: it seems not to validate tokens.")
    if 300 <= status < 400:
        return bad(f"It redirects ({status}); redirects are not followed, so no logout token would arrive.")
    if status in (401, 403):
        return bad(
            f"It answers {status}: exempt it from sign-in and CSRF checks, the signature of the token is its proof."
        )
    if status in (404, 405, 410):
        return bad(f"It answers {status}: nothing takes a POST there.")
    if status >= 500:
        return hint(f"It is reachable, but answers {status} to a token that is none, where 400 is expected.")
    return hint(f"It is reachable and answers {status} to a token that is none, where 400 is expected.")


def not_framed(uri: str, issuer_origin: str) -> PreflightFinding | None:
    target = redirects.parse(uri)
    if target is None or target.scheme not in _DEFAULT_PORTS:
        return bad("It is no address that a browser would load in a frame.")
    if issuer_origin.startswith("https:") and target.scheme == "http":
        return bad("It is http, and the sign-out page is https: browsers block it as mixed content.")
    if target.origin == issuer_origin.lower():
        return bad("It is on the origin of this service itself, which is never framed.")
    return None


def _status_of_frame(uri: str, answer: ProbeAnswer, issuer_origin: str) -> list[PreflightFinding]:
    if 200 <= answer.status < 300:
        if answer.one("content-disposition").lower().startswith("attachment"):
            return [bad("It answers with a download, which a frame does not show.")]
        return [good(f"It is reachable without being signed in and answers {answer.status}.")]
    if 300 <= answer.status < 400:
        return [_redirect(urljoin(uri, answer.one("location")), answer.status, issuer_origin)]
    if answer.status in (401, 403):
        return [bad(f"It answers {answer.status} to a browser that is not signed in; it must not ask who is there.")]
    if answer.status == 405:
        return [bad("It answers 405: a frame is loaded with GET.")]
    return [bad(f"It answers {answer.status}: no page takes the sign-out there.")]


def _redirect(location: str, status: int, issuer_origin: str) -> PreflightFinding:
    target = redirects.parse(location)
    if target is None:
        return bad(f"It redirects ({status}) to nowhere that a browser could follow.")
    if target.origin == issuer_origin.lower() or re.search(
        r"/(log-?in|sign-?in|authorize|oauth2?)\b", target.path, re.I
    ):
        return bad(
            f"It redirects ({status}) to a sign-in at {target.origin}: the frame ends on a login page, not on a sign-out."
        )
    if issuer_origin.startswith("https:") and target.scheme == "http":
        return bad(f"It redirects ({status}) to http, which browsers block as mixed content.")
    return hint(f"It redirects ({status}) to {target.origin}{target.path}; only the first page was checked.")


def framing(answer: ProbeAnswer, origin: str, issuer_origin: str) -> list[PreflightFinding]:
    """frame-ancestors, where there is one, makes browsers ignore X-Frame-Options (CSP 3, section 6.4.2.2)."""
    policies = [policy for header in answer.all("content-security-policy") for policy in header.split(",")]
    ancestors = [sources for policy in policies if (sources := _frame_ancestors(policy)) is not None]
    if ancestors:
        closed = [sources for sources in ancestors if not _lets_in(sources, origin, issuer_origin)]
        if closed:
            said = " ".join(closed[0]) or "an empty list"
            return [
                bad(
                    f"Its Content-Security-Policy has frame-ancestors {said}: browsers will not show it in the sign-out page; add {issuer_origin}."
                )
            ]
        return [good("Its frame-ancestors let the sign-out page frame it.")]
    options = {value.strip().lower() for header in answer.all("x-frame-options") for value in header.split(",")}
    if options & {"deny", "sameorigin"}:
        said = ", ".join(sorted(option.upper() for option in options))
        return [
            bad(
                f"It answers X-Frame-Options: {said}: browsers will not show it in the sign-out page; send Content-Security-Policy: frame-ancestors {issuer_origin} instead."
            )
        ]
    return [good("No header keeps browsers from showing it in a frame.")]


def _frame_ancestors(policy: str) -> tuple[str, ...] | None:
    for directive in policy.split(";"):
        name, *sources = directive.split() or [""]
        if name.lower() == "frame-ancestors":
            return tuple(sources)
    return None


def _lets_in(sources: Sequence[str], origin: str, issuer_origin: str) -> bool:
    return any(_matches(source.lower(), origin.lower(), issuer_origin.lower()) for source in sources)


def _matches(source: str, origin: str, issuer_origin: str) -> bool:
    """Whether one source expression covers the issuer (CSP 3, section 6.7.2.8); `'self'` is the application's origin."""
    scheme, _, rest = issuer_origin.partition("://")
    if source == "'self'":
        return origin == issuer_origin
    if source.endswith(":"):
        return source in (f"{scheme}:", "http:" if scheme == "https" else "")
    found = _SOURCE.fullmatch(source)
    if found is None:
        return False
    host, _, port = rest.partition(":")
    scheme_wanted = found["scheme"] or origin.partition("://")[0]
    if scheme_wanted != scheme and (scheme_wanted, scheme) != ("http", "https"):
        return False
    return _covers_host(found["host"], host) and _covers_port(found, port or _DEFAULT_PORTS[scheme], scheme)


def _covers_host(wanted: str, host: str) -> bool:
    return wanted == "*" or (host.endswith(wanted[1:]) if wanted.startswith("*.") else host == wanted)


def _covers_port(found: re.Match[str], port: str, scheme: str) -> bool:
    if found["port"]:
        return found["port"] in ("*", port)
    return found["host"] == "*" or port == _DEFAULT_PORTS[scheme]


def _cookies(answer: ProbeAnswer, *, has_back_channel: bool) -> list[PreflightFinding]:
    found = []
    for line in answer.all("set-cookie"):
        name, attributes = line.partition("=")[0].strip(), {part.strip().lower() for part in line.split(";")[1:]}
        if "samesite=none" not in attributes:
            found.append(
                hint(
                    f"Its cookie {name} is not SameSite=None: browsers keep it back in a frame of another site, so the page cannot see who is signed in."
                )
            )
        elif "secure" not in attributes:
            found.append(hint(f"Its cookie {name} is SameSite=None without Secure: browsers refuse it."))
    if not has_back_channel:
        found.append(
            hint(
                "Browsers that block third-party cookies keep its session alive, unless it shares a site with this service; a back-channel URL reaches it in every browser."
            )
        )
    return found


def _host(origin: str) -> str:
    return re.sub(r":[0-9]+$", "", origin.partition("://")[2])


def unreachable(what: str, outcome: NoAnswer) -> PreflightFinding:
    if outcome.tls:
        return bad(f"{what} has a certificate that we do not trust: {outcome.reason}.")
    return bad(f"{what} cannot be reached from here: {outcome.reason}.")


def good(sentence: str) -> PreflightFinding:
    return PreflightFinding(Verdict.GOOD, sentence)


def hint(sentence: str) -> PreflightFinding:
    return PreflightFinding(Verdict.HINT, sentence)


def bad(sentence: str) -> PreflightFinding:
    return PreflightFinding(Verdict.BAD, sentence)
