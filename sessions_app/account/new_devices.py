"""Sign-ins from devices that are new, found by the worker in the audit trail: a sign-in pays nothing for it.

A device is known by its cookie, which is signed and made for one account (`sessions_app/signin/attempts.py`). Where there
is none (private windows, accounts whose browsers get none) the same browser and system on the same network are known, if
they signed in among the person's last sign-ins. User-Agent alone would be no proof: whoever steals a password says what they like.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from idp.http.requests import RequestFacts
from idp.limits import limiter
from idp.models import User
from idp.tenants import configuration, rules
from sessions_app.account import security_mails
from sessions_app.audit import history
from sessions_app.audit.events import EventType
from sessions_app.audit.following import Lines, follow
from sessions_app.audit.history import Recorded
from sessions_app.models import SecurityMailKind
from sessions_app.protocol import user_agents

PATIENCE = timedelta(minutes=2)  # twice as long as any act may last
LOOKED_AT = 50  # of a person's earlier sign-ins


def find(at: datetime) -> int:
    """Note the next of them; returns how many sign-ins were looked at."""
    return follow("new devices", [EventType.OPENED], partial(_look, at=at), at=at, patience=PATIENCE)


def _look(lines: Lines, at: datetime) -> None:
    unknown = [line for line in lines if not line.data.get("known_device")]
    if not unknown or not security_mails.are_on():
        return
    subs = {line.sub for line in unknown}
    people = {user.user_id: user for user in security_mails.readers().filter(user_id__in=subs)}
    for line in unknown:
        user = people.get(line.sub)
        if user is not None and _is_new(line, user):
            said = {"actor": "user", **security_mails.device(RequestFacts(line.ip, line.user_agent))}
            security_mails.note(SecurityMailKind.NEW_DEVICE, user, once=line.sid, happened_at=line.at, at=at, data=said)


def _is_new(line: Recorded, user: User) -> bool:
    earlier = history.openings_before(line, LOOKED_AT)
    return not any(_same(line, one) for one in earlier) if earlier else not _is_first(line, user)


def _is_first(line: Recorded, user: User) -> bool:
    """Of an account that is older than the history nobody knows what was before: it is told, as it was long unused."""
    days = rules.within(configuration.current().tenant, "history_retention_days")
    return user.created_at > line.at - timedelta(days=days)


def _same(line: Recorded, other: Recorded) -> bool:
    if line.ip is None or other.ip is None:
        return False
    browsers = user_agents.in_words(line.user_agent), user_agents.in_words(other.user_agent)
    return browsers[0] == browsers[1] and limiter.prefix(line.ip) == limiter.prefix(other.ip)
