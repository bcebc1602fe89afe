"""For the operator's machines: is it alive, is it ready, how is it doing."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable

import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port, validate_host
from django.utils import timezone
from django.views.decorators.http import require_safe

from idp.crypto import keys, sealing
from idp.http.middleware import asked_host, for_programs
from idp.http.requests import client_ip, facts
from idp.limits import guesses, limiter
from idp.tenants import configuration
from idp.views.errors import json_errors
from logout_app.delivery import metrics, readiness, reports

log = structlog.get_logger(__name__)


@for_programs
@login_not_required
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nothing else: a restart heals no database."""
    return JsonResponse({"status": "ok"})


@for_programs
@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """503: requests would fail here. 200 with `degraded`: they work, but an operator should look.

    A backlog is degraded only: to take web servers away because workers are slow would make two outages of one.
    """
    needed = {"database": _failure(_check_database) or readiness.database(), "keys": _failure(_check_keys)}
    if any(needed.values()):
        return JsonResponse({"status": "unavailable", **_shown(needed)}, status=503)
    drains = reports.look()
    wished = {
        "backlog": _check_backlog(),
        "drain": _check_drain(drains),
        "tasks": _check_tasks(drains),
        "clock": _check_clock(),
        "redis": readiness.redis(),
        "standby": readiness.standby(),
    }
    status = "degraded" if any(wished.values()) else "ok"
    return JsonResponse({"status": status, **_shown(needed | wished)})


def _shown(checks: dict[str, str]) -> dict[str, str]:
    return {name: problem or "ok" for name, problem in checks.items()}


def _failure(check: Callable[[], object]) -> str:
    """One word for anybody who asks; the log says the rest."""
    try:
        check()
    except (DatabaseError, sealing.CannotUnseal, OSError) as error:
        log.warning("readyz.failed", check=check.__name__, error=repr(error))
        return "unavailable"
    return ""


def _check_database() -> None:
    configuration.current()


def _check_keys() -> None:
    snapshot = configuration.current()
    for algorithm in keys.ALGORITHMS:
        keys.active(algorithm, snapshot)


def _check_backlog() -> str:
    age = metrics.backlog(timezone.now()).age
    return f"the oldest delivery waits for {round(age.total_seconds())} s" if age > metrics.OLD_BACKLOG else ""


def _check_drain(drains: reports.Drains) -> str:
    """Whether a worker runs, and whether it can write down what applications answer.

    Before the first has said anything nobody knows: workers of the release before this one say nothing.
    """
    if drains.silent_for and not drains.running:
        return f"no worker has reported for {round(drains.silent_for.total_seconds())} s"
    if drains.stuck_for:
        return f"results cannot be recorded for {round(drains.stuck_for)} s ({drains.held} wait)"
    return ""


def _check_tasks(drains: reports.Drains) -> str:
    """Workers report and their tasks do not run: the queue stands still, or the beat is gone."""
    idle = drains.idle_too_long
    return f"no scheduled task ran for {round(idle)} s" if idle else ""


def _check_clock() -> str:
    difference = metrics.clock_difference(timezone.now())
    return f"{round(difference.total_seconds())} s off" if difference > metrics.CLOCK_TOLERANCE else ""


@for_programs
@login_not_required
@require_safe
@json_errors
def metrics_page(request: HttpRequest) -> HttpResponse:
    """For holders of CURFEW_METRICS_TOKEN; without one, for clients on loopback only."""
    if not _may_read_metrics(request):
        if settings.METRICS_TOKEN and request.headers.get("Authorization"):
            guesses.count(facts(request), limiter.ENDPOINT, "metrics token", timezone.now())
        return HttpResponse("401 Unauthorized\n", "text/plain", 401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(metrics.render(timezone.now()), "text/plain; version=0.0.4; charset=utf-8")


def _may_read_metrics(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, f"Bearer {settings.METRICS_TOKEN}".encode())
    if {"X-Forwarded-For", "Forwarded"} & request.headers.keys():
        return False  # a reverse proxy on this host asks for somebody else
    if _is_a_page_of_another_name(request):
        return False
    address = client_ip(request)
    return address is not None and ipaddress.ip_address(address).is_loopback


def _is_a_page_of_another_name(request: HttpRequest) -> bool:
    """A browser on this host that came by a name of somebody else's, who made it resolve to loopback (DNS rebinding).

    Prometheus may use any name. It sends no Accept-Language, which browsers always do and their scripts cannot omit.
    """
    host, _ = split_domain_port(asked_host(request).lower())
    return "Accept-Language" in request.headers and not validate_host(host, settings.ALLOWED_HOSTS)
