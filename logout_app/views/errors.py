"""How a mistake in a sign-out is answered."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

import structlog
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from idp.applications import refusals
from idp.protocol.errors import ProtocolError
from idp.views.errors import error_page, in_words

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]
log = structlog.get_logger(__name__)


def sign_out_errors(view: View[P]) -> View[P]:
    """Turn a ProtocolError into a page that ended nothing, redirects nowhere and offers to sign out."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except ProtocolError as error:
            refusals.note(error)
            log.info("logout.refused", path=request.path, reason=error.description, detail=error.detail)
            message, technical = in_words(error)
            return error_page(
                request,
                gettext("We could not follow this sign-out link"),
                message,
                code=error.error,
                status=error.status,
                offer_sign_out=True,
                technical=technical,
            )

    return wrapped
