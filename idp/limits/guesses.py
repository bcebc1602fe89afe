"""Wrong values of secrets that nobody can guess: programs' secrets, tokens, links of mails. Failures only are counted.

A right value costs no statement and is never refused; too many wrong ones of one network are refused, and told once.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.utils.translation import gettext_noop

from idp import signals
from idp.http.requests import RequestFacts
from idp.limits import limiter
from idp.limits.limiter import Key, Limit
from idp.protocol.errors import TooManyRequests

log = structlog.get_logger(__name__)


def count(facts: RequestFacts, limit: Limit, what: str, at: datetime) -> None:
    """A wrong one. Raises TooManyRequests once the network is above its limit."""
    key = key_of(facts, limit, what)
    if limiter.is_blocked(key, at):
        raise refusal(key, at)
    failures = limiter.count_failure(key, at)
    if failures == limit.count:
        log.warning("guessing.throttled", what=what, ip=facts.ip)
        signals.guessing_throttled.send(Limit, what=what, facts=facts, at=at)
    if failures > limit.count:
        raise refusal(key, at)


def key_of(facts: RequestFacts, limit: Limit, what: str) -> Key:
    return limit.key(what, limiter.prefix(facts.ip))


def refusal(key: Key, at: datetime) -> TooManyRequests:
    return TooManyRequests(
        gettext_noop("Too many failed requests. Try again later."), retry_after=limiter.seconds_left(key.limit, at)
    )
