"""CORS of the endpoints that take no cookie, never with credentials.

Who proves something by a secret or a token is read by exact origins that an application registered (`cross_origin`); what
is public, or asked for before anybody is registered, by every page (`any_origin`). Headers are allowed as they are asked
for: SDKs that trace add their own to every request, and without a cookie none of them can do harm.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from idp.models import Application
from idp.tenants import configuration

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]
ALLOWED_HEADERS = ("Authorization", "Content-Type", "Auth0-Client", "DPoP")  # whatever a preflight asks for
# What a preflight may ask for (Fetch, CORS-unsafe request-header names): names with commas between them.
_ASKED = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")
LONGEST_ASKED = 2000  # characters
EXPOSED_HEADERS = "WWW-Authenticate, Retry-After, DPoP-Nonce"
MAX_AGE = 600  # seconds that a browser may remember the preflight
_ORIGINS = configuration.Memo[frozenset[str]]("registered origins")


def registered_origins(snapshot: configuration.Snapshot) -> frozenset[str]:
    """Every origin that any enabled application registered; loaded once per version of the configuration."""
    return snapshot.derived(_ORIGINS, _load_origins)


def _load_origins() -> frozenset[str]:
    rows = Application.objects.filter(enabled=True)
    return frozenset(origin for row in rows for origin in row.usable.cors_origins)


def cross_origin(*methods: str) -> Callable[[View[P]], View[P]]:
    """Answer preflights, and let scripts of registered origins read the answers, errors too.

    A request without an Origin header, as servers send it, costs nothing here.
    """
    return _shared(methods, _if_registered)


def any_origin(*methods: str) -> Callable[[View[P]], View[P]]:
    """The same for scripts of every origin."""
    return _shared(methods, lambda _: "*")


def _if_registered(origin: str) -> str:
    return origin if origin and origin in registered_origins(configuration.current()) else ""


def _shared(methods: tuple[str, ...], allowed_for: Callable[[str], str]) -> Callable[[View[P]], View[P]]:
    """`allowed_for`: what an origin is told that it is allowed as; "": nothing."""
    allowed = ", ".join((*methods, "OPTIONS"))

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            preflight = request.method == "OPTIONS"
            response = _preflight(allowed) if preflight else view(request, *args, **kwargs)
            told = allowed_for(request.headers.get("Origin", ""))
            if told != "*":
                patch_vary_headers(response, ("Origin",))
            if told:
                _allow(response, told)
                if preflight:
                    response.headers["Access-Control-Allow-Methods"] = allowed
                    response.headers["Access-Control-Allow-Headers"] = _headers(request)
                    response.headers["Access-Control-Max-Age"] = str(MAX_AGE)
            return response

        return wrapped

    return decorate


def _preflight(allowed: str) -> HttpResponse:
    response = HttpResponse(status=204, headers={"Allow": allowed})
    patch_vary_headers(response, ("Access-Control-Request-Headers",))
    return response


def _allow(response: HttpResponse, origin: str) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"


def _headers(request: HttpRequest) -> str:
    """Ours, and those that were asked for beside them; a list that is too long or cannot be read counts as none."""
    asked = request.headers.get("Access-Control-Request-Headers", "").strip()
    if len(asked) > LONGEST_ASKED or not _ASKED.fullmatch(asked):
        return ", ".join(ALLOWED_HEADERS)
    names = {name.lower(): name for name in (*re.split(r"[ \t]*,[ \t]*", asked), *ALLOWED_HEADERS)}
    return ", ".join(names.values())
