"""What a browser meets when its session ends: the door, then the sign-out page or the way back to the application."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from enum import Enum, auto

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.encoding import iri_to_uri

from idp.models import Application, TenantSettings
from idp.protocol.initiators import Initiator
from idp.tenants import configuration
from idp.tenants.configuration import Memo, Snapshot
from logout_app.browser import transactions, upstream_logout
from logout_app.ending.end import Ended, Selection, end_sessions
from logout_app.ending.rows import Planned
from sessions_app.models import SSOSession
from sessions_app.session import binding

_FRONT_CHANNELS = Memo[bool]("whether any application has a front channel")


class Visitor(Enum):
    """Who can be shown a page that takes its time."""

    BROWSER = auto()
    OLD_BROWSER = auto()  # sends no Sec-Fetch headers, or is a program that asks for HTML
    PROGRAM = auto()


def visitor(request: HttpRequest) -> Visitor:
    """Every browser of today says Sec-Fetch-Dest to https and loopback; HTTP clients want the redirect at once."""
    if "Sec-Fetch-Dest" in request.headers:
        return Visitor.BROWSER
    return Visitor.OLD_BROWSER if "text/html" in request.headers.get("Accept", "") else Visitor.PROGRAM


def is_opened_page(request: HttpRequest) -> bool:
    """A page that a person opened: no image, frame or script of another page (Fetch Metadata sections 2.1 and 2.2).

    A request without Sec-Fetch-Dest is one: old browsers send none of them, and of programs Node.js's fetch says
    Sec-Fetch-Mode: cors alone. Prefetches do not come this far.
    """
    headers = request.headers
    mode = headers.get("Sec-Fetch-Mode", "navigate")
    if "Sec-Fetch-Dest" not in headers:
        return mode in ("navigate", "cors")
    return headers["Sec-Fetch-Dest"] == "document" and mode == "navigate"


def end_and_answer(
    request: HttpRequest,
    session: SSOSession,
    *,
    application: Application | None,
    return_url: str,
    at: datetime,
    federated: bool = False,
    everywhere: bool = False,
    settled: Callable[[Ended], tuple[Planned, str]] | None = None,
) -> HttpResponse:
    """End the browser's session now and answer with what follows. `return_url` is validated.

    The sign-out page comes when applications are being told; a program, or an old browser without frames to load, is
    redirected at once: its deliveries are in the outbox all the same. `federated`: the way leads over the upstream.
    `everywhere`: the person's other sessions and offline tokens end too. `settled` is asked in the transaction of the end for
    what is left to tell, and where to go, if the application that asked waits for an answer (SAML).
    """
    snapshot = configuration.at(getattr(session, "config_version", None))
    who = visitor(request)
    if who is Visitor.OLD_BROWSER and not _has_front_channels(snapshot):
        who = Visitor.PROGRAM  # there is nothing that it would load
    way_out = upstream_logout.way_out(session)
    started = None
    may_lead_on = settled is not None or who is not Visitor.PROGRAM or (federated and way_out is not None)
    with transaction.atomic() if may_lead_on else nullcontext():  # the page's row and the end it shows are one act
        ended = end_sessions(
            Selection.user(session.user_id) if everywhere else Selection.session(session.pk),
            initiator=Initiator.SESSION_REVOKED if everywhere else Initiator.RP_LOGOUT,
            actor=f"app:{application.client_id}" if application else "user",
            at=at,
            offline_tokens=everywhere,
            page=None if who is Visitor.PROGRAM else session.pk,
        )
        told, return_url = settled(ended) if settled else (ended.told, return_url)
        shows_page = ended.event is not None and _shows_page(who, told)
        if ended.event and (shows_page or (federated and way_out)):
            started = transactions.begin(
                request,
                event=ended.event,
                session=session,
                application=application,
                return_url=return_url,
                upstream=upstream_logout.offer(asked=federated) if way_out else {},
                at=at,
            )
    clear_browser(request, snapshot.tenant)
    if started:
        if shows_page:
            response = redirect(request, reverse("sign_out_page", args=[started.token]))
        else:
            response = upstream_logout.depart(request, started.page, token=started.token, at=at)
        transactions.set_cookie(response, started)
    else:
        response = finish(request, return_url)
    return response


def finish(request: HttpRequest, return_url: str) -> HttpResponse:
    """Back to the application, or our own last page."""
    return redirect(request, return_url) if return_url else render(request, "logout/complete.html")


def redirect(request: HttpRequest, url: str) -> HttpResponse:
    """302, or 303 after a POST. Django's own refuses the custom schemes of native applications."""
    response = HttpResponse(status=303 if request.method == "POST" else 302)
    response.headers["Location"] = iri_to_uri(url)
    return response


def clear_browser(request: HttpRequest, tenant: TenantSettings | None = None) -> None:
    """Nothing of the person stays with this browser: the cookie, the flow state, the CSRF secret."""
    request.session.flush()
    binding.browser_of(request).holds_none(tenant)
    request.user = AnonymousUser()
    for name in ("CSRF_COOKIE", "CSRF_COOKIE_NEEDS_UPDATE"):  # a form of this response gets a new secret
        request.META.pop(name, None)


def _has_front_channels(snapshot: Snapshot) -> bool:
    def found() -> bool:
        return bool(Application.objects.exclude(frontchannel_logout_uri="", saml_logout_uri="").exists())

    return snapshot.derived(_FRONT_CHANNELS, found)


def _shows_page(who: Visitor, told: Planned) -> bool:
    """When applications are being told; to an old browser only for the frames."""
    return (who is Visitor.BROWSER and told.deliveries > 0) or (who is Visitor.OLD_BROWSER and told.frames > 0)
