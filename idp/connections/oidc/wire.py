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
LONGEST_TEXT = 200  # of what an upstream says
OLDER_CHARSETS = frozenset({"iso-8859-1", "windows-1252"})
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w-]+)", re.ASCII | re.IGNORECASE)
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
    answer = ask(what, url, deadline, **headers)
    try:
        values = read_object(answer)
    except ValueError as error:
        raise UpstreamFault(f"{what} at {url} is not a JSON object that can be read: {error}.", status=502) from error
    found = _MAX_AGE.search(answer.headers.get("Cache-Control", ""))
    return Document(values, int(found[1]) if found else None, _date(answer.headers.get("Date", "")))


def ask(what: str, url: str, deadline: Deadline, **headers: str) -> requests.Response:
    """The good answer to a GET."""
    with session(deadline, what, url) as client:
        try:
            answer = client.get(url, headers={"Accept": "application/json", **headers})
        except requests.RequestException as error:
            raise fault(what, url, error) from error
    if answer.status_code != 200:
        raise UpstreamFault(f"{what} at {url} answered HTTP {answer.status_code}.", status=502)
    return answer


def read_object(answer: requests.Response) -> dict[str, Any]:
    """The JSON object in it, whatever type the header claims. Raises ValueError: why not, as the end of a sentence."""
    return parse_object(text_of(answer))


def text_of(answer: requests.Response) -> str:
    """JSON is UTF-8 (RFC 8259 section 8.1); some send a byte order mark before it, or an older charset and say so."""
    try:
        return answer.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        named = _CHARSET.search(answer.headers.get("Content-Type", ""))
        if named is None or named[1].lower() not in OLDER_CHARSETS:
            raise ValueError("not UTF-8") from None
    try:
        return answer.content.decode(named[1])
    except UnicodeDecodeError:
        raise ValueError(f"not {named[1]}, which it says that it is") from None


def error_in(values: dict[str, Any]) -> str:
    """The error that a server reports with HTTP 200, "" if it is none."""
    code, description = (readable(values.get(name)) for name in ("error", "error_description"))
    return f"{code}: {description}" if code and description else code


def readable(text: object) -> str:
    """An upstream's own words, fit for a page and a log line: printable, on one line, short."""
    if not isinstance(text, str):
        return ""
    words = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * LONGEST_TEXT]).split())
    return words if len(words) <= LONGEST_TEXT else f"{words[: LONGEST_TEXT - 1]}…"


def _date(header: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # the second of a time zone with many digits
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
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return f"gave an answer that {error}"
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
