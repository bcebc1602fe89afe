"""The link of an invitation: whoever has it makes an account, or signs in as the person who was meant, and accepts."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from idp.connections.registry import Purpose, usable_for
from idp.http.requests import facts
from idp.http.visit import is_fresh, reauthentication_url
from idp.models import Identity, Invitation, MailLinkKind, Strategy
from idp.people import invitations, newcomers
from idp.views.errors import page_errors
from sessions_app.session import binding
from sessions_app.signin import sign_in
from sessions_app.signin.destinations import HOME
from sessions_app.views.newcomers import links
from sessions_app.views.newcomers.forms import NewAccountForm

KIND = MailLinkKind.INVITATION


@login_not_required
@require_safe
@page_errors
def open_link(request: HttpRequest, key: str) -> HttpResponse:
    return links.opened(request, KIND, key, "invitation")


@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def invitation(request: HttpRequest) -> HttpResponse:
    """What there is to do depends on who is signed in here, and on whether the person has an account already."""
    link = links.of_browser(request, KIND, timezone.now())
    if link is None or link.invitation is None:
        return links.dead(request, KIND)
    row = link.invitation
    if not usable_for(row.connection, Purpose.SIGN_IN):
        return links.dead(request, KIND, closed=row.connection)
    session = binding.session_of(request)
    if session is not None:
        return _of_somebody(request, row, session.identity)
    if row.connection.strategy == Strategy.DATABASE and newcomers.account_of(row.connection, row.address) is None:
        return _of_nobody(request, row)
    query = urlencode({"next": reverse("invitation"), "only": row.connection.name})
    return _page(request, row, sign_in_url=f"{reverse('account_login')}?{query}")


def _of_somebody(request: HttpRequest, row: Invitation, identity: Identity | None) -> HttpResponse:
    """A link that somebody else opens, or that was passed on to them, gives them nothing."""
    if identity is None or not invitations.is_meant(row, identity):
        return _page(request, row, stranger=request.user, status=403)
    if not is_fresh(request, timezone.now()):  # who only found the browser open gets no groups
        return HttpResponseRedirect(reauthentication_url(reverse("invitation")))
    if request.method != "POST":
        return _page(request, row, asks=True)
    try:
        invitations.accept(row, identity, at=timezone.now(), facts=facts(request))
    except invitations.NotOpen:
        return links.dead(request, KIND)
    return links.forget(HttpResponseRedirect(HOME))


def _of_nobody(request: HttpRequest, row: Invitation) -> HttpResponse:
    form = NewAccountForm(row.connection, row.address, request.POST or None, initial={"name": row.name})
    if request.method != "POST" or not form.is_valid():
        return _page(request, row, form=form, status=400 if form.errors else 200)
    at, said = timezone.now(), form.cleaned_data
    try:
        with transaction.atomic():
            identity = newcomers.create(
                row.connection,
                row.address,
                said["password"],
                name=said["name"],
                username=said.get("username", ""),
                at=at,
                facts=facts(request),
            )
            invitations.accept(row, identity, at=at, facts=facts(request))
    except invitations.NotOpen:
        return links.dead(request, KIND)
    except newcomers.NameTaken:
        form.is_taken()
        return _page(request, row, form=form, status=409)
    return links.forget(sign_in.complete(request, identity, method=sign_in.PASSWORD, redirect_url=HOME))


def _page(request: HttpRequest, row: Invitation, *, status: int = 200, **more: object) -> HttpResponse:
    return render(request, "newcomers/invitation.html", {"invitation": row, **more}, status=status)
