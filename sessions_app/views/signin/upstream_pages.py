"""What people see between us and the identity provider upstream: why it failed, with a way on."""

from __future__ import annotations

from urllib.parse import urlencode

import structlog
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from idp.connections import registry, silence
from idp.connections.contract import UpstreamFault, UpstreamRefused
from idp.http import languages
from idp.models import Connection
from idp.protocol.errors import ProtocolError
from idp.protocol.text.bidi import isolated
from idp.tenants import configuration
from idp.views.errors import RETRY_SOON
from sessions_app.signin import failures
from sessions_app.signin.destinations import destination
from sessions_app.signin.failures import FailureKind
from sessions_app.signin.round_trip import NotEnough

log = structlog.get_logger(__name__)
TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
LONGEST_SENTENCE = 300  # of what somebody else wrote


def refused(request: HttpRequest, connection: Connection, redirect_url: str, error: UpstreamRefused) -> HttpResponse:
    """The upstream said no, in its own words."""
    reference = failures.record(
        request, connection, FailureKind.REFUSED, f"{error.error}: {error.detail}", timezone.now()
    )
    log.info(
        "sign_in.upstream_refused",
        connection=connection.name,
        error=error.error,
        detail=error.detail,
        reference=reference,
    )
    message = gettext("%(connection)s says: %(sentence)s") % {
        "connection": isolated(str(connection)),
        "sentence": isolated(languages.in_words(error.sentence[:LONGEST_SENTENCE])),
    }
    again = start_url(connection, redirect_url, fresh="1")  # the same person would be refused again
    return _failed(request, connection, redirect_url, message, reference, code=error.error, status=403, again=again)


def fault(
    request: HttpRequest, connection: Connection, redirect_url: str, error: UpstreamFault, *, status: int
) -> HttpResponse:
    """Something is wrong with the upstream or with its answer: the reason is for the log."""
    status, at = error.status or status, timezone.now()
    reference = failures.record(request, connection, FailureKind.FAILED, error.reason, at)
    log.warning(
        "sign_in.upstream_failed",
        connection=connection.name,
        reason=error.reason,
        status=status,
        reference=reference,
    )
    silence.note(connection, error, at=at)
    code = TEMPORARILY_UNAVAILABLE if status >= 500 else "server_error"
    page = _failed(
        request, connection, redirect_url, languages.in_words(error.sentence), reference, code=code, status=status
    )
    if status == 503:
        page.headers["Retry-After"] = str(RETRY_SOON)
    return page


def silent(request: HttpRequest, connection: Connection, redirect_url: str, again: str) -> HttpResponse:
    """Before anybody is sent to a server that does not answer: what they would see there is their browser's error page."""
    reason = "it did not answer lately, so nobody was sent there"
    reference = failures.record(request, connection, FailureKind.SILENT, reason, timezone.now())
    log.info("sign_in.upstream_silent", connection=connection.name, reference=reference)
    message = gettext("%(connection)s does not answer at the moment.") % {"connection": isolated(str(connection))}
    answer = _failed(
        request,
        connection,
        redirect_url,
        message,
        reference,
        code=TEMPORARILY_UNAVAILABLE,
        status=503,
        again=again,
        again_label=gettext("Try it anyway"),
    )
    answer.headers["Retry-After"] = str(RETRY_SOON)
    return answer


def not_enough(request: HttpRequest, connection: Connection, redirect_url: str, error: NotEnough) -> HttpResponse:
    reference = failures.record(request, connection, FailureKind.NOT_ENOUGH, str(error), timezone.now())
    log.info("sign_in.not_enough", connection=connection.name, reason=str(error), reference=reference)
    return _failed(request, connection, redirect_url, error.sentence, reference, code=error.error, status=403)


def lost(request: HttpRequest, error: ProtocolError, *, redirect_url: str = "") -> HttpResponse:
    """An answer that belongs to no sign-in of this browser, which is not to know where that one would have led; or to one that is
    over, to `redirect_url`."""
    reference = failures.record(request, None, FailureKind.LOST, error.description, timezone.now())
    log.info("sign_in.lost", path=request.path, reason=error.description, detail=error.detail, reference=reference)
    context = {
        "message": error.sentence(gettext),
        "code": error.error,
        "reference": reference,
        "again": _login_page(redirect_url),
    }
    return render(request, "upstream_failed.html", context, status=error.status)


def _login_page(redirect_url: str) -> str:
    query = f"?{urlencode({'next': redirect_url})}" if redirect_url else ""
    return f"{reverse('account_login')}{query}"


def other_ways(redirect_url: str) -> str:
    """The login page, which then goes nowhere by itself."""
    return f"{reverse('account_login')}?{urlencode({'next': redirect_url, 'choose': '1'})}"


def start_url(connection: Connection, redirect_url: str, **more: str) -> str:
    return f"{reverse('login_upstream', args=[connection.name])}?{urlencode({'next': redirect_url, **more})}"


def _failed(
    request: HttpRequest,
    connection: Connection,
    redirect_url: str,
    message: str,
    reference: str,
    *,
    code: str,
    status: int,
    again: str = "",
    again_label: str = "",
) -> HttpResponse:
    snapshot = configuration.current()
    application = destination(redirect_url, snapshot).application
    offered = [
        *registry.password_connections(snapshot, application),
        *registry.redirect_connections(snapshot, application),
    ]
    context = {
        "message": message,
        "code": code,
        "reference": reference,
        "connection": connection,
        "application": application,
        "again": again or start_url(connection, redirect_url),
        "again_label": again_label,
        "other": other_ways(redirect_url) if any(row.pk != connection.pk for row in offered) else "",
        "back": f"{reverse('login_cancel')}?{urlencode({'next': redirect_url, 'error': code})}" if application else "",
    }
    return render(request, "upstream_failed.html", context, status=status)
