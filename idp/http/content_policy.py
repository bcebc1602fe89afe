"""The Content-Security-Policy of the settings, and what one answer changes in it. django-csp builds the header."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from csp.constants import HEADER
from csp.utils import build_policy
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from idp.protocol import uris

FORM_ACTION = "form-action"
ENDPOINT = "csp"
Directives = tuple[tuple[str, tuple[str, ...]], ...]


def allow(response: HttpResponse, directive: str, sources: Iterable[str]) -> None:
    """Add sources. CSP3 section 2.3.1 has no words for an IPv6 address, so its scheme stands for it."""
    written = [f"{source.partition(':')[0]}:" if "[" in source else source for source in sources]
    response._csp_update = {directive: written}  # type: ignore[attr-defined]


def allow_forms_to(response: HttpResponse, *urls: str, leads_on: bool = False) -> HttpResponse:
    """Let the forms of this page lead there, by themselves or by a redirect: Chromium applies `form-action` to what follows a
    POST (CSP3 section 6.4.2). `leads_on`: a server there may lead on to others that we do not know."""
    sources = sorted({source for url in urls if (source := uris.source(url))})
    if sources:
        allow(response, FORM_ACTION, [*sources, "https:"] if leads_on else sources)
    return response


def allow_only(response: HttpResponse, directive: str, sources: Iterable[str]) -> None:
    response._csp_replace = {directive: list(sources)}  # type: ignore[attr-defined]


class ContentPolicyMiddleware(MiddlewareMixin):
    """django-csp's own would put every answer's policy together anew; there are only a few. We give out no nonces."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if HEADER not in response.headers:
            update, replace = getattr(response, "_csp_update", None), getattr(response, "_csp_replace", None)
            response.headers[HEADER] = _policy(_frozen(update), _frozen(replace))
            if settings.CSP_REPORTS and settings.HTTPS:
                response.headers["Reporting-Endpoints"] = f'{ENDPOINT}="{settings.CSP_REPORTS}"'
        return response


def _frozen(directives: Mapping[str, Iterable[str]] | None) -> Directives:
    return tuple((name, tuple(sources)) for name, sources in (directives or {}).items())


def _reporting() -> dict[str, list[str]]:
    """Where browsers say what a page was forbidden. Without https they know no endpoint by its name, and Chromium would send
    nothing: it prefers the name to the address."""
    if not settings.CSP_REPORTS:
        return {}
    named = {"report-to": [ENDPOINT]} if settings.HTTPS else {}
    return {"report-uri": [settings.CSP_REPORTS], **named}


@functools.lru_cache(1024)
def _policy(update: Directives, replace: Directives) -> str:
    return build_policy(
        update={name: list(sources) for name, sources in update} | _reporting(),
        replace={name: list(sources) for name, sources in replace},
    )
