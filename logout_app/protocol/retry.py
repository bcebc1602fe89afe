"""What the answer of an application means for its delivery, and when to try again (Back-Channel Logout 1.0 section 2.8).

Pure: facts of one attempt in, one decision out.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

FIRST_DELAY = 1.0  # seconds
LONGEST_DELAY = 7200.0
CONFIGURATION_TRIES = 3
CONFIGURATION_DELAYS = (15.0, 60.0)  # the application may just be deploying
RETRY_AFTER_LIMITS = (1.0, 3600.0)
REASON_LENGTH = 500
SET_ASIDE = "set aside: "  # how the reason of a delivery begins that cannot be processed


class Outcome(StrEnum):
    """What came of one attempt, as `DeliveryAttempt.outcome`, logs and metrics spell it."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"  # 400: the application understood and says no
    MISCONFIGURED = "misconfigured"  # nothing at that URL takes logout tokens, or we may not go there
    EXPIRED = "expired"  # too old to be tried again
    DROPPED = "dropped"  # nothing left to tell
    POSTPONED = "postponed"  # not tried: what is before it in the order of its receiver was not taken
    UNPROCESSABLE = "unprocessable"  # set aside: we cannot make or send this request


@dataclass(frozen=True, slots=True)
class Answer:
    """One attempt, ended: a status, or the error that took its place."""

    status: int | None = None
    error: str = ""  # dns, connect, tls, timeout, reset, protocol, blocked ...
    detail: str = ""  # the application's words
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """What is known of the delivery when the attempt ends."""

    attempts: int  # this one included
    last_status: int | None  # of the attempt before
    age: timedelta
    max_age: timedelta
    about: str = ""  # why it is told, as the event of the delivery has it


@dataclass(frozen=True, slots=True)
class Decision:
    outcome: Outcome
    reason: str
    delay: float | None = None  # seconds until the next attempt; None: there is none
    unhealthy: bool = False  # counts towards the application's breaker
    pause: float = 0.0  # seconds in which the application asked to be left alone


def decide(
    answer: Answer, history: History, *, at: datetime, jitter: float, final: Set[int] = frozenset({400})
) -> Decision:
    """`jitter` is a random number from 0 to 1; after the statuses in `final` asking again changes nothing."""
    reason = _reason(answer)
    if is_success(answer.status):
        return Decision(Outcome.DELIVERED, reason)
    if answer.status in final:
        return Decision(Outcome.REFUSED, reason)
    if is_configuration_error(answer):
        return _misconfigured(reason, history)
    pause = retry_after(answer.retry_after, at) if answer.retry_after and answer.status in (408, 429, 503) else 0.0
    delay = max(backoff(history.attempts, jitter), pause)
    if history.age + timedelta(seconds=delay) >= history.max_age:
        return Decision(Outcome.EXPIRED, reason, unhealthy=True, pause=pause)
    return Decision(Outcome.RETRY, reason, delay=delay, unhealthy=True, pause=pause)


def is_success(status: int | None) -> bool:
    """200 by the specification, 204 by many; no other 2xx is worth a second logout token."""
    return status is not None and 200 <= status < 300


def is_configuration_error(answer: Answer) -> bool:
    """Somebody has to change something: other answers below 500 that no waiting heals, and URLs that we refuse."""
    if answer.status is None:
        return answer.error == "blocked"
    return answer.status < 500 and answer.status not in (408, 425, 429)


def _misconfigured(reason: str, history: History) -> Decision:
    """A few spaced tries. One such answer among failures of another kind is no verdict yet."""
    again = history.last_status is None or is_configuration_error(Answer(history.last_status))
    if history.attempts >= CONFIGURATION_TRIES and (again or history.age >= history.max_age):
        return Decision(Outcome.MISCONFIGURED, reason)
    return Decision(Outcome.RETRY, reason, delay=_configuration_delay(history.attempts))


def unprocessable(problem: str, history: History) -> Decision:
    """An attempt that failed here, before or after any request: a few spaced tries, then it is set aside."""
    reason = printable(f"cannot be processed: {problem}")
    if history.attempts >= CONFIGURATION_TRIES:
        return Decision(Outcome.UNPROCESSABLE, printable(f"{SET_ASIDE}{problem}"))
    return Decision(Outcome.RETRY, reason, delay=_configuration_delay(history.attempts))


def _configuration_delay(attempts: int) -> float:
    return CONFIGURATION_DELAYS[min(attempts, len(CONFIGURATION_DELAYS)) - 1]


def backoff(attempts: int, jitter: float) -> float:
    """Seconds: 1, 2, 4 ... two hours, each 25 % earlier or later, never under a second."""
    delay = min(FIRST_DELAY * 2.0 ** min(attempts - 1, 20), LONGEST_DELAY)
    return max(FIRST_DELAY, delay * (0.75 + jitter / 2))


def retry_after(value: str, at: datetime) -> float:
    """Seconds that `Retry-After` asks for (delta or date), within limits; the lowest for what is neither (RFC 9110 section 10.2.3)."""
    lowest, highest = RETRY_AFTER_LIMITS
    return min(max(_retry_after_seconds(value.strip(), at), lowest), highest)


def _retry_after_seconds(value: str, at: datetime) -> float:
    if value.isascii() and value.isdigit():
        return float(value[:10])
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for an absurd time zone
        return 0.0
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - at).total_seconds()


def _reason(answer: Answer) -> str:
    """One printable line, at most 500 characters: what administrators, logs and terminals may be shown."""
    if answer.error:
        words = f"{answer.error}: {answer.detail}" if answer.detail else answer.error
    else:
        kind = "redirect" if answer.status is not None and 300 <= answer.status < 400 else str(answer.status)
        words = f"{kind}: {answer.detail}" if answer.detail and not is_success(answer.status) else kind
    return printable(words)


def printable(text: str) -> str:
    """Control characters (ANSI escapes, NUL, line ends) and lone surrogates spelt out."""
    if len(text) <= REASON_LENGTH and text.isprintable():
        return text
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[:REASON_LENGTH])
    return shown[:REASON_LENGTH]
