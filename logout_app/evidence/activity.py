"""What the audit trail holds of one person, as sentences for that person.

Who else acted is told as what they are, never by name or address: a line of an administrator has the administrator's address.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_noop

from idp.models import Application, Connection
from idp.protocol.initiators import Initiator
from idp.protocol.text.bidi import isolated
from logout_app.models import LogoutDelivery
from logout_app.protocol.sign_out_state import RowState, row_state, standing
from sessions_app.audit import history
from sessions_app.audit.events import EventType
from sessions_app.audit.history import Recorded
from sessions_app.session import devices

SPAN = timedelta(days=30)
FACTORS = {
    "totp": gettext_noop("An authenticator app"),
    "webauthn": gettext_noop("A security key"),
    "recovery_codes": gettext_noop("A new set of recovery codes"),
}

A_FACTOR = gettext_noop("A second factor")

# {app} and {connection} are names; what depends on more than these is in `_words`.
SENTENCES: dict[EventType, str] = {
    EventType.OPENED: gettext_noop("You signed in"),
    EventType.JOINED: gettext_noop("You opened {app}"),
    EventType.REAUTHENTICATED: gettext_noop("You proved again that it is you"),
    EventType.REAUTHENTICATION_REQUIRED: gettext_noop("You were asked to prove again that it is you"),
    EventType.ENDED: gettext_noop("You were signed out"),
    EventType.SIGN_IN_FAILED: gettext_noop("A sign-in failed"),
    EventType.SECOND_FACTOR_FAILED: gettext_noop("A second factor was wrong, after the right password"),
    EventType.DEVICE_CODE_FAILED: gettext_noop("The code of a device was wrong"),
    EventType.PASSWORD_CHANGED: gettext_noop("Your password was changed"),
    EventType.SECOND_FACTOR_ADDED: gettext_noop("{factor} was added"),
    EventType.SECOND_FACTOR_REMOVED: gettext_noop("{factor} was removed"),
    EventType.SECOND_FACTORS_RESET: gettext_noop("All your second factors were taken away"),
    EventType.REFRESH_TOKEN_REUSED: gettext_noop("{app} was signed out, because a key that it had used up came again"),
    EventType.REFRESH_TOKEN_STOLEN: gettext_noop("{app} was signed out, because another app sent its key"),
    EventType.REFRESH_TOKEN_REVOKED: gettext_noop("{app} does not stay signed in by itself any more"),
    EventType.APPLICATION_REMOVED: gettext_noop("{app} cannot act for you any more"),
    EventType.AUTHORIZATION_CODE_REPLAYED: gettext_noop(
        "{app} was signed out, because a code that it had used up came again"
    ),
    EventType.UNIVERSAL_LOGOUT_SUCCEEDED: gettext_noop("{connection} asked for the end of everything of yours here"),
    EventType.DEPROVISIONED: gettext_noop("{connection} said that you must be out"),
    EventType.ACCESS_LOST: gettext_noop("{app} is not for you any more, and you were signed out of it"),
}
KINDS = {kind.value: kind for kind in SENTENCES}
SUSPICIOUS = {
    EventType.SIGN_IN_FAILED,
    EventType.SECOND_FACTOR_FAILED,
    EventType.DEVICE_CODE_FAILED,
    EventType.REFRESH_TOKEN_REUSED,
    EventType.REFRESH_TOKEN_STOLEN,
    EventType.AUTHORIZATION_CODE_REPLAYED,
}
# The request of such a line was sent by whoever uses this account, not by an application or an administrator.
OF_A_BROWSER = {
    EventType.OPENED,
    EventType.JOINED,
    EventType.REAUTHENTICATED,
    EventType.SIGN_IN_FAILED,
    EventType.SECOND_FACTOR_FAILED,
    EventType.DEVICE_CODE_FAILED,
}
ENDS = {
    Initiator.RP_LOGOUT: gettext_noop("You signed out"),
    Initiator.SESSION_EXPIRED: gettext_noop("Your session ran out"),
    Initiator.PASSWORD_CHANGED: gettext_noop("You were signed out, because the password was changed"),
    Initiator.MFA_PHONE_UNENROLLED: gettext_noop("You were signed out, because a second factor was removed"),
    Initiator.EMAIL_IDENTIFIER_CHANGED: gettext_noop("You were signed out, because the address was changed"),
    Initiator.ACCOUNT_DEACTIVATED: gettext_noop("You were signed out, because the account was blocked"),
    Initiator.DEPROVISIONED: gettext_noop("You were signed out, because the account was closed where it comes from"),
}
TOLD = {
    RowState.DELIVERED: gettext_noop("Told"),
    RowState.LOADED: gettext_noop("Page loaded, not confirmed"),
    RowState.PENDING: gettext_noop("Being told"),
    RowState.DEAD: gettext_noop("No answer"),
    RowState.UNREACHABLE: gettext_noop("Not told"),
}


@dataclass(frozen=True, slots=True)
class Happened:
    """`where`: address, browser and connection, as far as they are the person's own. `told`: a word, and names of apps."""

    at: datetime
    words: str
    where: list[str]
    told: list[tuple[str, list[str]]] = field(default_factory=list)
    is_suspicious: bool = False


@dataclass(frozen=True, slots=True)
class LineNames:
    """What the ids of a page's lines are called."""

    apps: Mapping[str, str]
    connections: Mapping[str, str]
    browsers: Mapping[str, str]
    told: Mapping[tuple[int, str], list[tuple[str, list[str]]]]


def lines(sub: str, at: datetime) -> QuerySet[Recorded]:
    return history.recent(sub, SENTENCES, since=at - SPAN)


def told_of(page: Sequence[Recorded], sub: str, at: datetime, timeout: int) -> list[Happened]:
    """For four statements, however many lines. `timeout`: seconds until no answer is one."""
    names = LineNames(
        dict(_named(Application.objects.filter(client_id__in={line.client_id for line in page}), "client_id")),
        dict(_named(Connection.objects.filter(name__in={line.connection for line in page}), "name")),
        history.browsers_of((line.sid for line in page if line.type == EventType.ENDED), sub),
        _told(page, sub, at, timedelta(seconds=timeout)),
    )
    return [_happened(line, names) for line in page]


def _named(rows: QuerySet[Application] | QuerySet[Connection], key: str) -> Iterable[tuple[str, str]]:
    return ((getattr(row, key), str(row)) for row in rows)


def _happened(line: Recorded, names: LineNames) -> Happened:
    kind = KINDS[line.type]
    told = names.told.get((line.data.get("event") or 0, line.sid), [])
    return Happened(line.at, _words(kind, line, names), _where(kind, line, names), told, kind in SUSPICIOUS)


def _words(kind: EventType, line: Recorded, names: LineNames) -> str:
    known = {
        "app": isolated(names.apps.get(line.client_id) or line.client_id or gettext("An app")),
        "connection": isolated(
            names.connections.get(line.connection) or line.connection or gettext("Your organisation")
        ),
        "factor": gettext(FACTORS.get(line.data.get("factor", ""), A_FACTOR)),
    }
    sentence = ENDS.get(Initiator(line.initiator), SENTENCES[kind]) if kind is EventType.ENDED else SENTENCES[kind]
    said = gettext(sentence).format(**known)
    by = _by(line, names, known["connection"])
    return gettext("%(what)s by %(whom)s.") % {"what": said, "whom": by} if by else f"{said}."


def _by(line: Recorded, names: LineNames, connection: str) -> str:
    """Who did it, where it was not the person."""
    by, _, whom = line.actor.partition(":")
    if by == "admin":
        return gettext("an administrator")
    if by == "app" and whom:
        return isolated(names.apps.get(whom) or whom) if whom in names.apps else gettext("an app")
    return connection if by in ("upstream", "scim") and line.type == EventType.ENDED else ""


def _where(kind: EventType, line: Recorded, names: LineNames) -> list[str]:
    found = []
    if kind in OF_A_BROWSER or line.actor == "user":
        found += [devices.in_words(line.user_agent)] if line.user_agent else []
        found += [str(line.ip)] if line.ip else []
    if kind is EventType.ENDED and (browser := names.browsers.get(line.sid)):
        found.append(devices.in_words(browser))
    if kind in (EventType.OPENED, EventType.SIGN_IN_FAILED) and line.connection:
        name = names.connections.get(line.connection) or line.connection
        found.append(gettext("through %(connection)s") % {"connection": name})
    return found


def _told(
    page: Sequence[Recorded], sub: str, at: datetime, timeout: timedelta
) -> dict[tuple[int, str], list[tuple[str, list[str]]]]:
    """(sign-out, session or "") -> what became of it at the applications. An event may be about others too: `sub` says whose."""
    events = {line.data["event"] for line in page if line.data.get("event")}
    rows = (
        LogoutDelivery.objects.of_ends()
        .filter(event__in=events, sub=sub)
        .select_related("application", "event")
        .order_by("pk")
    )
    channels: dict[tuple[int, str], dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    overdue: dict[int, bool] = {}
    for row in rows:
        name = str(row.application or row.client_id)
        overdue[row.sign_out.pk] = at >= row.created_at + timeout
        for sid in {row.sid, ""}:
            channels[row.sign_out.pk, sid][name][row.channel] = standing(row.state, row.last_status, row.last_reason)
    return {key: _by_state(apps, overdue[key[0]]) for key, apps in channels.items()}


def _by_state(apps: Mapping[str, Mapping[str, str]], overdue: bool) -> list[tuple[str, list[str]]]:
    found: dict[RowState, list[str]] = defaultdict(list)
    for name, channels in apps.items():
        found[row_state(channels, overdue=overdue)].append(name)
    return [(gettext(word), sorted(found[state], key=str.casefold)) for state, word in TOLD.items() if state in found]
