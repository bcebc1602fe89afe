"""The login page and what sign-in needs beside it: the second factor's page and the sign-out button's target."""

from __future__ import annotations

from collections.abc import Sequence

from allauth.account.internal.flows.logout import logout as allauth_logout
from allauth.mfa.base import views as mfa_views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from idp import configuration, content_policy
from idp.configuration import Snapshot
from idp.connections import registry
from idp.models import Connection
from idp.protocol.errors import InvalidRequest
from idp.views.errors import error_page, page_errors
from sessions_app import binding, sign_in
from sessions_app.attempts import TooManyAttempts
from sessions_app.destinations import Destination, destination, is_ours
from sessions_app.forms import LoginForm

WRONG = "E-mail address or password is wrong."


@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def login(request: HttpRequest) -> HttpResponse:
    """Sign in to the application that waits behind `next`, or to Curfew itself.

    Somebody who is signed in sees the form only when an application asked for it: it wants them to prove it again.
    """
    snapshot = configuration.current()
    target = destination(_next(request), snapshot)
    session = binding.session_of(request)
    if request.method != "POST" and session is not None and target.application is None:
        return HttpResponseRedirect(target.url)
    connections = _offered(target, snapshot)
    if not connections:
        return error_page(
            request, "You cannot sign in here", "No way to sign in is switched on for this application.", status=403
        )
    if request.method == "POST":
        return for_popups(_try(request, target, connections), target.form_action)
    known_as = session.identity.login if session is not None and session.identity else ""
    form = LoginForm(connections=connections, initial={"username": target.login_hint or known_as})
    return for_popups(_page(request, target, form), target.form_action)


def _try(request: HttpRequest, target: Destination, connections: list[Connection]) -> HttpResponse:
    _refuse_repeated(request.POST, ("username", "password", "connection", "next"))
    form = LoginForm(request.POST, connections=connections)
    if not form.is_valid():
        return _page(request, target, form, status=400)
    try:
        identity = sign_in.verify_password(
            request, form.chosen(), form.cleaned_data["username"], form.cleaned_data["password"], timezone.now()
        )
    except sign_in.WrongPassword:
        form.add_error("password", WRONG)
        return _page(request, target, form)
    except TooManyAttempts as error:
        response = error_page(request, "Too many attempts", error.description, status=error.status)
        response.headers["Retry-After"] = str(error.retry_after)
        return response
    return sign_in.complete(request, identity, method=sign_in.PASSWORD, redirect_url=target.url)


def _page(request: HttpRequest, target: Destination, form: LoginForm, status: int = 200) -> HttpResponse:
    form.mark_errors()
    context = {"form": form, "application": target.application, "next": target.url}
    return render(request, "login.html", context, status=status)


def _offered(target: Destination, snapshot: Snapshot) -> list[Connection]:
    """The connections of this page: those of the application; `connection` in the request picks one by name.

    A name that no enabled connection has is ignored, as /authorize does.
    """
    connections = registry.password_connections(snapshot, target.application)
    if target.connection and Connection.objects.filter(name=target.connection, enabled=True).exists():
        return [row for row in connections if row.name == target.connection]
    return connections


def for_popups(response: HttpResponse, form_action: Sequence[str]) -> HttpResponse:
    """SDKs open sign-in in a popup that must keep its opener; the POST's redirects may go to the application."""
    response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
    if form_action:
        content_policy.allow(response, "form-action", form_action)
    return response


@login_not_required
def second_factor(request: HttpRequest) -> HttpResponse:
    """allauth's page; a person who proves again who they are is signed in already, which allauth would send home."""
    pending = sign_in.pending_redirect(request)
    if pending is None:
        return HttpResponseRedirect(reverse("account_login"))
    request.user = AnonymousUser()
    target = destination(pending, configuration.current())
    response: HttpResponse = mfa_views.authenticate(request)
    if hasattr(response, "render"):
        response = response.render()
    return for_popups(response, target.form_action)


@login_not_required
@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    """What `/logout` does without applications to tell: the adapter's part, and a sign-in that waits for its second factor."""
    allauth_logout(request, show_message=False)
    target = request.POST.get("next", "")
    allowed = is_ours(target) or target == reverse("account_login")
    return HttpResponseRedirect(target if allowed else reverse("home"))


def _next(request: HttpRequest) -> str:
    """`next` of the form, else of the address."""
    _refuse_repeated(request.GET, ("next",))
    return request.POST.get("next") or request.GET.get("next", "")


def _refuse_repeated(data: QueryDict, names: Sequence[str]) -> None:
    for name in names:
        if len(data.getlist(name)) > 1:
            raise InvalidRequest(f"{name} was sent more than once.")
