"""The page for somebody who is signed in, but not to this application: whom to ask, and the ways on.

*Back to the application* brings it the error; where nobody looks (a silent request, a window without a page of ours), it
gets the error at once.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from idp.protocol.errors import ProtocolError
from idp.protocol.params import Params
from sessions_app.oauth.recipient import Recipient
from sessions_app.protocol.authorization import OURS, ResponseMode
from sessions_app.session import binding
from sessions_app.signin.destinations import is_ours
from sessions_app.views.oauth.authorization_response import fail


def not_admitted(request: HttpRequest, params: Params, to: Recipient, error: ProtocolError) -> HttpResponse:
    again = f"{reverse('authorize')}?{urlencode([pair for pair in params.pairs if pair[0] not in OURS])}"
    if to.silent or to.mode is ResponseMode.WEB_MESSAGE or not is_ours(again):
        return fail(request, to, error)
    session = binding.session_of(request)
    context = {
        "application": to.application,
        "person": session.user if session else None,
        "code": error.error,
        "back": f"{reverse('login_cancel')}?{urlencode({'next': again, 'error': error.error})}",
        "another": f"{again}&prompt=login" if "prompt" not in params else "",
    }
    return render(request, "not_admitted.html", context, status=403)
