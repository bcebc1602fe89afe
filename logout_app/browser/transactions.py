"""The sign-out page's capability, and what its applications have answered.

A transaction belongs to one browser: the path holds one random token, the LOGOUT cookie another; both are stored hashed
and both are asked for, for ten minutes. It shows and retries what the door already did; it can end nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from idp.models import Application, TenantSettings, User
from idp.protocol.opaque import digest, new_secret
from idp.tenants import rules
from logout_app.delivery import redeliver
from logout_app.delivery.channels.registry import ANSWER_US, IN_BROWSER, SENT
from logout_app.models import IN_FRAMES, DeliveryState, LogoutDelivery, LogoutEvent, LogoutTransaction
from logout_app.protocol.frontchannel import frame_origin, frame_url
from logout_app.protocol.sign_out_state import RowState, row_state, standing
from sessions_app.models import SessionClient, SSOSession

LIFETIME = timedelta(minutes=10)
OURS = re.compile(r"[A-Za-z0-9_-]{43}")
MOST_RETRIES = 20
DEFAULT_TIMEOUT = 5  # seconds, while there is no settings row


@dataclass(frozen=True, slots=True)
class PageStarted:
    """A new transaction and its two secrets: `token` for the path, `browser` for the cookie."""

    page: LogoutTransaction
    token: str
    browser: str


@dataclass(slots=True)
class PageRow:
    """One application on the page."""

    application_pk: int
    name: str
    client_id: str
    icon: str = ""
    frame_url: str = ""
    frame_origin: str = ""
    sid: str = ""
    milliseconds: int | None = None
    in_background: bool = False  # a worker tells it too
    retrying: bool = False
    answers: bool = False  # its frame leads to an answer that we hear (SAML): that the frame loaded says nothing
    answered: bool = False  # with an error
    reasons: list[str] = field(default_factory=list)
    channels: dict[str, str] = field(default_factory=dict)
    state: RowState = RowState.UNREACHABLE

    @property
    def initial(self) -> str:
        return self.name[:1].upper()

    @property
    def seconds(self) -> str:
        return "" if self.milliseconds is None else f"{self.milliseconds / 1000:.1f}"

    @property
    def can_retry(self) -> bool:
        return self.state == RowState.DEAD

    def settle_frame(self) -> None:
        """Only what was planned is framed, and what may be."""
        planned = [name for name in IN_FRAMES if name in self.channels]
        if not planned:  # it is disabled, or got its URL since
            self.frame_url = self.frame_origin = ""
        elif not self.frame_origin:  # an address that must not be framed is no channel
            for name in planned:
                del self.channels[name]

    def see(self, delivery: LogoutDelivery, began_at: datetime) -> None:
        """Take in what one channel knows."""
        self.channels[delivery.channel] = standing(delivery.state, delivery.last_status, delivery.last_reason)
        self.answered = self.answered or delivery.last_status is not None
        if delivery.state == DeliveryState.DELIVERED and delivery.finished_at:
            self.milliseconds = max(0, round((delivery.finished_at - began_at).total_seconds() * 1000))
        if delivery.channel in SENT:
            self.in_background = True
            self.retrying = self.retrying or delivery.state == DeliveryState.PENDING
        if delivery.last_reason or delivery.last_status:
            status = f"HTTP {delivery.last_status}" if delivery.last_status else "no HTTP answer"
            self.reasons.append(f"{delivery.get_channel_display()}: {status}. {delivery.last_reason}".strip())


def begin(
    request: HttpRequest,
    *,
    event: LogoutEvent,
    session: SSOSession,
    application: Application | None,
    return_url: str,
    upstream: dict[str, object],
    at: datetime,
) -> PageStarted:
    """Open the page for what the door just ended. A browser keeps one cookie for all its transactions."""
    kept = request.COOKIES.get(settings.LOGOUT_COOKIE_NAME, "")
    token, browser = new_secret(), kept if OURS.fullmatch(kept) else new_secret()
    page = LogoutTransaction.objects.create(
        token_hash=digest(token),
        browser_hash=digest(browser),
        event=event,
        session=session,
        application=application,
        return_url=return_url,
        upstream=upstream,
        created_at=at,
        expires_at=at + LIFETIME,
    )
    return PageStarted(page, token, browser)


def set_cookie(response: HttpResponse, started: PageStarted) -> None:
    response.set_cookie(
        settings.LOGOUT_COOKIE_NAME,
        started.browser,
        max_age=int(LIFETIME.total_seconds()),
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def find(request: HttpRequest, token: str, at: datetime) -> LogoutTransaction | None:
    """The transaction of this path and this browser, while it lasts."""
    if (ours := _ours(request, token, at)) is None:
        return None
    return (
        LogoutTransaction.objects.filter(ours)
        .select_related("event", "session__user", "session__connection", "session__identity", "application")
        .first()
    )


def close_for_others(request: HttpRequest, user: User, at: datetime) -> None:
    """Somebody signed in here: what this browser may still show of other people's sign-outs is over."""
    kept = request.COOKIES.get(settings.LOGOUT_COOKIE_NAME, "")
    if OURS.fullmatch(kept):
        open_here = LogoutTransaction.objects.filter(browser_hash=digest(kept), expires_at__gt=at)
        open_here.exclude(session__user=user).update(expires_at=at)


def rows_of(
    page: LogoutTransaction, at: datetime, timeout: int, *, issuer: str, issuer_origin: str, token: str = ""
) -> list[PageRow]:
    """One row for each application of the session, in the order in which they joined it. Two statements. `token`: the page's,
    for frames that begin at an address of ours."""
    if page.session is None or page.event is None:
        return []
    clients = SessionClient.objects.filter(session=page.session).select_related("application").order_by("joined_at")
    rows = {client.application_id: _row(client.application, page.session, issuer, issuer_origin) for client in clients}
    applications = {client.application_id: client.application for client in clients}
    for delivery in LogoutDelivery.objects.filter(event=page.event, session=page.session):
        if (pk := delivery.application_id) not in rows:
            continue
        rows[pk].see(delivery, page.created_at)
        if delivery.channel in ANSWER_US:
            _frame_by_saml(rows[pk], applications[pk], token, issuer_origin)
    for row in rows.values():
        row.settle_frame()
        row.state = row_state(row.channels, overdue=_overdue(page.created_at, at, timeout))
    return list(rows.values())


def status_of(request: HttpRequest, token: str, at: datetime) -> list[dict[str, object]] | None:
    """What the page polls, for one statement; None when there is no such transaction for this browser."""
    if (ours := _ours(request, token, at)) is None:
        return None
    found = list(
        LogoutTransaction.objects.filter(ours).values_list(
            "created_at",
            Subquery(TenantSettings.objects.values("sign_out_timeout")[:1]),
            "session_id",
            "event__deliveries__session_id",
            "event__deliveries__application_id",
            "event__deliveries__channel",
            "event__deliveries__state",
            "event__deliveries__finished_at",
            "event__deliveries__last_status",
            "event__deliveries__last_reason",
        )
    )
    if not found:
        return None
    began_at, timeout = found[0][:2]
    channels: dict[int, dict[str, str]] = defaultdict(dict)
    finished: dict[int, datetime] = {}
    answered: set[int] = set()
    for _, _, session_pk, of_session, application_pk, channel, state, finished_at, status, reason in found:
        if application_pk is None or of_session != session_pk or state == DeliveryState.NOT_TOLD:
            continue  # what the page says of those that are not told does not change
        channels[application_pk][channel] = standing(state, status, reason)
        if status is not None:
            answered.add(application_pk)
        if state == DeliveryState.DELIVERED:
            finished[application_pk] = min(finished_at, finished.get(application_pk, finished_at))
    overdue = _overdue(began_at, at, rules.NUMBERS["sign_out_timeout"].nearest(timeout or DEFAULT_TIMEOUT))
    return [
        {**_status(pk, states, finished.get(pk), began_at, overdue=overdue), "answered": pk in answered}
        for pk, states in channels.items()
    ]


def report(page: LogoutTransaction, application_pk: int, outcome: DeliveryState, at: datetime) -> bool:
    """What the browser saw of one frame. Late news may only improve a row: dead < loaded < delivered.

    Of who answers us the browser knows only that nothing came in time: no page in a frame stands in for a signed answer.
    """
    may_follow = {
        DeliveryState.DEAD: [DeliveryState.PENDING],
        DeliveryState.LOADED: [DeliveryState.PENDING, DeliveryState.DEAD],
        DeliveryState.DELIVERED: [DeliveryState.PENDING, DeliveryState.DEAD, DeliveryState.LOADED],
    }
    seen = IN_BROWSER if outcome == DeliveryState.DEAD else [name for name in IN_BROWSER if name not in ANSWER_US]
    rows = _of_application(page, application_pk).filter(channel__in=seen, state__in=may_follow[outcome])
    reason = {DeliveryState.DEAD: "no answer in time", DeliveryState.LOADED: "the page loaded"}.get(outcome, "")
    return bool(rows.update(state=outcome, finished_at=at, last_reason=reason))


def retry(page: LogoutTransaction, application_pk: int, at: datetime) -> None:
    """Try again: the frame is asked anew, and what a worker sends is due now."""
    rows = _of_application(page, application_pk).filter(attempts__lt=MOST_RETRIES)
    with transaction.atomic():
        rows.filter(channel__in=IN_BROWSER, state=DeliveryState.DEAD).update(
            state=DeliveryState.PENDING, finished_at=None, due_at=at, attempts=F("attempts") + 1
        )
        redeliver.deliveries(rows.filter(channel__in=SENT).values_list("pk", flat=True), at=at)


def give_up_unanswered(at: datetime) -> int:
    """Frames whose page was closed before they answered: nobody will report them any more."""
    return LogoutDelivery.objects.filter(
        channel__in=IN_BROWSER, state=DeliveryState.PENDING, created_at__lte=at - LIFETIME
    ).update(state=DeliveryState.DEAD, finished_at=at, last_reason="the sign-out page was closed")


def counts(rows: Iterable[PageRow]) -> tuple[int, int]:
    """How many are signed out, of how many that can be told."""
    reachable = [row for row in rows if row.state != RowState.UNREACHABLE]
    return sum(row.state == RowState.DELIVERED for row in reachable), len(reachable)


def _ours(request: HttpRequest, token: str, at: datetime) -> Q | None:
    browser = request.COOKIES.get(settings.LOGOUT_COOKIE_NAME, "")
    if not OURS.fullmatch(token) or not OURS.fullmatch(browser):
        return None
    return Q(token_hash=digest(token), browser_hash=digest(browser), expires_at__gt=at)


def _of_application(page: LogoutTransaction, application_pk: int) -> QuerySet[LogoutDelivery]:
    return LogoutDelivery.objects.filter(event=page.event, session=page.session, application=application_pk)


def _row(application: Application, session: SSOSession, issuer: str, issuer_origin: str) -> PageRow:
    uri = application.usable.frontchannel_logout_uri
    origin = frame_origin(uri, issuer_origin=issuer_origin) if uri else ""
    required = application.frontchannel_logout_session_required
    return PageRow(
        application.pk,
        application.name or application.client_id,
        application.client_id,
        icon=application.usable.https_logo,
        frame_url=frame_url(uri, issuer=issuer, sid=session.sid, session_required=required) if origin else "",
        frame_origin=origin,
        sid=session.sid if required else "",
    )


def _frame_by_saml(row: PageRow, application: Application, token: str, issuer_origin: str) -> None:
    """Its request leaves from a page of ours, signed when the frame is loaded; `frame_origin` is where it leads."""
    row.frame_origin = frame_origin(application.usable.saml.logout_url, issuer_origin=issuer_origin)
    row.frame_url = reverse("sign_out_saml", args=[token, application.pk]) if row.frame_origin else ""
    row.sid, row.answers = "", True


def _status(
    application_pk: int, channels: dict[str, str], finished_at: datetime | None, began_at: datetime, *, overdue: bool
) -> dict[str, object]:
    took = None if finished_at is None else max(0, round((finished_at - began_at).total_seconds() * 1000))
    return {"app": application_pk, "state": row_state(channels, overdue=overdue).value, "ms": took}


def _overdue(began_at: datetime, at: datetime, timeout: int) -> bool:
    return at >= began_at + timedelta(seconds=timeout)
