"""What is fetched from an upstream: within one deadline, JSON objects only, every failure one sentence."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from idp.connections.contract import UpstreamFault
from idp.outbound import web
from idp.protocol.strict_json import parse_object

NOT_ASKED = 503  # the status of a fault that says nothing about the upstream
BUSY = "Too many people are signing in right now. Please try again in a moment."
PATIENCE = 5.0  # seconds for everything that one request of a browser may wait for its upstream
LONGEST_DOCUMENT = 512_000  # bytes
_MAX_AGE = re.compile(r"(?:^|,)\s*max-age=(\d{1,9})(?:,|\s|$)", re.IGNORECASE)


class Deadline:
    """What is left of the time that all requests of one step share."""

    def __init__(self, seconds: float = PATIENCE) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        return max(0.0, self._ends - time.monotonic())


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON object, for how many seconds its server says that it stays true, and what the time is there; None: does not say."""

    values: dict[str, Any]
    max_age: int | None = None
    date: datetime | None = None


def fetch(what: str, url: str, deadline: Deadline, **headers: str) -> Document:
    """GET a JSON object. `what` begins the sentence of an UpstreamFault: "The discovery document", "The key set"."""
    with session(deadline, what, url) as client:
        try:
            answer = client.get(url, headers={"Accept": "application/json", **headers})
        except requests.RequestException as error:
            raise fault(what, url, error) from error
    if answer.status_code != 200:
        raise UpstreamFault(f"{what} at {url} answered HTTP {answer.status_code}.", status=502)
    try:
        values = parse_object(answer.content)
    except ValueError as error:
        raise UpstreamFault(f"{what} at {url} is not a JSON object that can be read: {error}.", status=502) from error
    found = _MAX_AGE.search(answer.headers.get("Cache-Control", ""))
    return Document(values, int(found[1]) if found else None, _date(answer.headers.get("Date", "")))


def _date(header: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def session(deadline: Deadline, what: str, url: str) -> requests.Session:
    """A guarded session for one request that ends in time."""
    if not (left := deadline.left()):
        raise UpstreamFault(f"{what} at {url} was not asked: there was no time left after other requests.", status=504)
    return web.session(timeout=min(left, PATIENCE), body_limit=LONGEST_DOCUMENT)


def fault(what: str, url: str, error: requests.RequestException) -> UpstreamFault:
    """A request that got no answer, in a sentence."""
    if isinstance(error, web.OutboundBusy):
        return busy(what, url)
    status = 504 if isinstance(error, requests.Timeout) else 502
    return UpstreamFault(f"{what} at {url} {why(error)}.", status=status, silent=web.is_silence(error))


def busy(what: str, url: str) -> UpstreamFault:
    """Nobody was asked, which says nothing about the upstream."""
    return UpstreamFault(
        f"{what} at {url} was not asked: too many requests wait for other servers.", BUSY, status=NOT_ASKED
    )


def why(error: requests.RequestException) -> str:
    """The rest of a sentence: what went wrong with a request."""
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    if isinstance(error, web.BlockedTarget):
        return f"may not be reached: {error}"
    if isinstance(error, web.AnswerTooLarge):
        return f"answered more than {LONGEST_DOCUMENT // 1000} kB"
    if isinstance(error, requests.exceptions.SSLError) or "SSLError" in str(error) or "CERTIFICATE" in str(error):
        return f"has no TLS certificate that we trust ({_innermost(error)})"
    return f"could not be reached ({_innermost(error)})"


def _innermost(error: BaseException) -> str:
    """The operating system's or OpenSSL's own words, without the layers of libraries around them."""
    deepest: BaseException = error
    while (inner := deepest.__cause__ or deepest.__context__) is not None:
        deepest = inner
    return str(deepest)[:200]
