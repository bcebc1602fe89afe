"""The rulebook of streams, said once for every entrance where somebody configures one: the admin's form, the tenant file, programs.

An entrance fills an `EventStream` that is not saved yet, asks `problems()`, and says them by its own names.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from idp import outbound
from idp.models import ClientGrant
from idp.outbound import policy
from idp.protocol import uris
from idp.protocol.jwt_profile import is_text
from idp.tenants import signals_api
from logout_app.models import EventStream, StreamKind, StreamMethod
from logout_app.protocol.streams import vocabulary as v
from logout_app.protocol.streams import webhooks
from logout_app.protocol.streams.requests import LONGEST_TEXT, MOST_AUDIENCES, MOST_EVENTS
from sessions_app.audit.events import EventType

NOT_GRANTED = "its application has no client grant"
LONGEST_NAME = 100
LONGEST_SECRET = 500
MOST = 100  # streams of a kind that administrators and programs make: a worker looks at each of them, at every bell


def problems(stream: EventStream) -> Iterator[tuple[str, str]]:
    """(column, reason): everything that the rules have against the stream as it is in memory."""
    if not is_text(stream.name, LONGEST_NAME):
        yield "name", f"must be one line of at most {LONGEST_NAME} characters"
    if len(stream.description) > LONGEST_TEXT:
        yield "description", f"is longer than {LONGEST_TEXT} characters"
    if len(stream.events) > MOST_EVENTS:
        yield "events", f"are more than {MOST_EVENTS}"
    yield from _way(stream)
    yield from _webhook(stream) if stream.kind == StreamKind.WEBHOOK else _shared_signals(stream)


def endpoint_problem(url: str) -> str:
    """Why nothing can be pushed there, or "". The drain asks again at each attempt, by the address that it finds."""
    return uris.check_web_url(url) or policy.check_url(url, outbound.rules()) or ""


def header_problem(value: str, longest: int = LONGEST_SECRET) -> str:
    good = is_text(value, longest) and value.isascii()
    return "" if good else f"must be one line of at most {longest} ASCII characters"


def is_other_host(old: str, new: str) -> bool:
    """Whether it would be given what the old one knows us by."""
    parts = [urlsplit(url) for url in (old, new)]
    return (parts[0].scheme, parts[0].netloc) != (parts[1].scheme, parts[1].netloc)


def room(kind: StreamKind) -> int:
    """How many more may be made. Streams that applications manage are not counted: each has one, and a client grant of a superuser."""
    return max(0, MOST - EventStream.objects.filter(kind=kind, application=None).count())


def may_run(stream: EventStream) -> bool:
    """Whether anybody may enable it: that of an application needs a client grant with a scope of streams, which a superuser gives."""
    if stream.application is None:
        return True
    audience = signals_api.audience()
    grants = ClientGrant.objects.filter(application=stream.application, resource_server__identifier=audience)
    return any(signals_api.SCOPES.keys() & set(grant.scope) for grant in grants)


def _way(stream: EventStream) -> Iterator[tuple[str, str]]:
    if stream.method == StreamMethod.POLL:
        if stream.application is None:
            yield "method", "must be push: nobody could come for the events of a stream that no application manages"
        if stream.endpoint:
            yield "endpoint", "must be left out: its receiver comes here"
    elif not stream.endpoint:
        yield "endpoint", "is missing"
    elif why := endpoint_problem(stream.endpoint):
        yield "endpoint", f"nothing can be sent there: {why}"


def _webhook(stream: EventStream) -> Iterator[tuple[str, str]]:
    if stream.body_format not in webhooks.FORMATS:
        yield "body_format", f"must be one of {', '.join(webhooks.FORMATS)}"
    if unknown := sorted(set(stream.events) - set(EventType)):
        yield "events", f"there is no such type in the audit trail: {', '.join(unknown)}"


def _shared_signals(stream: EventStream) -> Iterator[tuple[str, str]]:
    good = all(is_text(each, LONGEST_TEXT) for each in stream.audiences)
    if not stream.audiences or not good or len(stream.audiences) > MOST_AUDIENCES:
        yield "audiences", f"must be 1 to {MOST_AUDIENCES} texts: its receiver knows itself by one of them"
    if stream.application is None and (unknown := sorted(set(stream.events) - set(v.SUPPORTED))):
        yield "events", f"there is no such event: {', '.join(unknown)}"
    for column, choices in CHOSEN.items():
        if getattr(stream, column) not in choices:
            yield column, f"must be one of {', '.join(choices)}"


CHOSEN = {
    "algorithm": v.ALGORITHMS,
    "subject_format": v.SUBJECT_FORMATS,
    "subject_place": v.SUBJECT_PLACES,
}
