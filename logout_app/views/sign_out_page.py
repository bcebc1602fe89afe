"""The sign-out page: who is being told, live. The session is over before this page is shown."""

from __future__ import annotations

from csp.constants import SELF
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from idp.http import content_policy, languages
from idp.tenants import configuration, rules
from idp.views.errors import error_page
from idp.views.stale_forms import is_from_our_page, stale_page, when_stale
from logout_app.browser import transactions
from logout_app.browser.frames import batch_of
from logout_app.browser.sign_out import redirect
from logout_app.browser.transactions import PageRow
from logout_app.browser.upstream_logout import Standing
from logout_app.models import DeliveryState, LogoutTransaction
from logout_app.protocol.sign_out_state import RowState
from logout_app.views import sign_out_words

OUTCOMES = {
    "no_answer": DeliveryState.DEAD,
    "loaded": DeliveryState.LOADED,
    "acknowledged": DeliveryState.DELIVERED,
}
UPSTREAM_STATES = {
    Standing.OFFERED: RowState.UNREACHABLE,
    Standing.SENT: RowState.LOADED,
    Standing.LEFT: RowState.DELIVERED,
    Standing.FAILED: RowState.DEAD,
}


@login_not_required
@require_GET
def sign_out_page(request: HttpRequest, token: str) -> HttpResponse:
    """One row per application. Browsers without JavaScript walk through `?frames=1`, `?frames=2`, which load ten frames each,
    to `?plain`, which loads none and says what came of it.
    """
    page = transactions.find(request, token, timezone.now())
    if page is None:
        return gone(request)
    if page.session is not None:
        languages.heard_of(request, page.session.user.language)
    languages.settle(request)
    tenant = configuration.current().tenant
    rows = transactions.rows_of(
        page,
        timezone.now(),
        rules.within(tenant, "sign_out_timeout"),
        issuer=settings.ISSUER,
        issuer_origin=settings.ISSUER_ORIGIN,
        token=token,
    )
    batch = batch_of(rows, request.GET)
    batch.judge(rows)
    pending = any(row.state == RowState.PENDING for row in rows)
    done, total = transactions.counts(rows)
    upstream = _upstream_row(page)
    context = {
        "page": page,
        "rows": [{"row": row, "words": sign_out_words.of_row(row, plain=not batch.is_first)} for row in rows],
        "headline": sign_out_words.failures(rows),
        "said": sign_out_words.of_script(len(rows)),
        "batch": batch,
        "refresh": batch.refresh(pending=pending),
        "done": done,
        "total": total,
        "pending": pending,
        "all_green": bool(rows or upstream) and _all_green(rows, upstream),
        "timeout": rules.within(tenant, "sign_out_timeout"),
        "token": token,
        "upstream": upstream,
        **_onward(page, token, upstream),
    }
    response = render(request, "logout/sign_out.html", context)
    origins = sorted({row.frame_origin for row in rows if row.frame_origin})
    if any(row.answers for row in rows):
        origins.append(SELF)  # where their requests leave from
    if origins and not batch.is_last:
        content_policy.allow(response, "frame-src", origins)
    return response


@login_not_required
@require_GET
def sign_out_status(request: HttpRequest, token: str) -> HttpResponse:
    """What the page polls: one statement."""
    rows = transactions.status_of(request, token, timezone.now())
    if rows is None:
        return JsonResponse({"error": "not_found"}, status=404)
    return JsonResponse({"rows": rows})


def _of_an_older_page(request: HttpRequest, token: str) -> HttpResponse:
    """The page stays what it is while somebody signs in elsewhere; only it knows its token, and the cookie is asked for."""
    view = sign_out_retry if request.path == reverse("sign_out_retry", args=[token]) else sign_out_outcome
    return view(request, token) if is_from_our_page(request) else stale_page(request)


@when_stale(_of_an_older_page)
@login_not_required
@require_POST
def sign_out_outcome(request: HttpRequest, token: str) -> HttpResponse:
    """What the browser saw of one application's frame."""
    page, application_pk = _target(request, token)
    outcome = OUTCOMES.get(request.POST.get("outcome", ""))
    if page is None:
        return JsonResponse({"error": "not_found"}, status=404)
    if application_pk is None or outcome is None:
        return JsonResponse({"error": "invalid_request"}, status=400)
    transactions.report(page, application_pk, outcome, timezone.now())
    return HttpResponse(status=204)


@when_stale(_of_an_older_page)
@login_not_required
@require_POST
def sign_out_retry(request: HttpRequest, token: str) -> HttpResponse:
    """Try again: a script gets 204, a plain form the page."""
    page, application_pk = _target(request, token)
    if page is None:
        return gone(request)
    if application_pk is None:
        return JsonResponse({"error": "invalid_request"}, status=400)
    transactions.retry(page, application_pk, timezone.now())
    if request.headers.get("Sec-Fetch-Dest", "document") == "empty":
        return HttpResponse(status=204)
    return redirect(request, reverse("sign_out_page", args=[token]))


def _upstream_row(page: LogoutTransaction) -> dict[str, object] | None:
    """The row of the identity provider upstream, where there is a way to sign out of it too."""
    connection = page.session.connection if page.session else None
    if connection is None or not page.upstream:
        return None
    standing = Standing(page.upstream["standing"])
    return {
        "connection": connection,
        "standing": standing,
        "left": standing is Standing.LEFT,
        "state": UPSTREAM_STATES[standing].value,
        "words": gettext(sign_out_words.UPSTREAM[standing]),
        "why": languages.in_words(page.upstream["why"]),
        "next": standing is Standing.OFFERED and page.upstream["asked"],
    }


def _all_green(rows: list[PageRow], upstream: dict[str, object] | None) -> bool:
    return all(row.state == RowState.DELIVERED for row in rows) and (upstream is None or upstream["left"] is True)


def _onward(page: LogoutTransaction, token: str, upstream: dict[str, object] | None) -> dict[str, str]:
    """Where *Continue* leads: upstream first if the application asked for it and nobody was there yet."""
    if upstream and upstream["next"]:
        return {"continue_url": reverse("leave_upstream", args=[token]), "continue_name": str(upstream["connection"])}
    name = page.application.name if page.application and page.leads_to else ""
    return {"continue_url": page.leads_to or reverse("sign_out_complete"), "continue_name": name}


def _target(request: HttpRequest, token: str) -> tuple[LogoutTransaction | None, int | None]:
    sent = request.POST.get("application", "")
    number = int(sent) if sent.isascii() and sent.isdigit() and len(sent) <= 18 else None
    return transactions.find(request, token, timezone.now()), number


def gone(request: HttpRequest) -> HttpResponse:
    return error_page(
        request,
        gettext("This sign-out page is over"),
        gettext("It belongs to the browser that signed out, for ten minutes. You are signed out if it was yours."),
        status=404,
    )
