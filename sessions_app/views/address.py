"""Another e-mail address of one's own: asked for after a fresh proof, and changed by the link that went to the new one."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from idp.http.visit import is_fresh, reauthentication_url
from idp.limits import limiter
from idp.models import MailLink, MailLinkKind, User
from idp.people import accounts, mail_links
from idp.views.errors import error_page, page_errors
from sessions_app.account import mailed
from sessions_app.session import binding
from sessions_app.views.newcomers import links
from sessions_app.views.newcomers.forms import AddressForm

KIND = MailLinkKind.ADDRESS


@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def address(request: HttpRequest) -> HttpResponse:
    """The address stays what it is until the link is opened."""
    person, at = cast(User, request.user), timezone.now()
    if not mailed.is_ours(person):
        return _not_ours(request)
    if not is_fresh(request, at):
        return HttpResponseRedirect(reauthentication_url(request.path))
    form = AddressForm(request.POST if request.method == "POST" else None)
    form.fields["email"].label = _("New e-mail address")
    if request.method == "POST" and form.is_valid():
        wanted = str(form.cleaned_data["email"])
        if wanted != person.email:
            return _ask(request, person, wanted)
        form.add_error("email", _("This is your address already."))
    sent, wait = "sent" in request.GET, "wait" in request.GET
    context = {"form": form, "person": person, "sent": sent, "wait": wait}
    return render(request, "account/address.html", context, status=400 if form.errors else 200)


@login_not_required
@require_safe
@page_errors
def open_link(request: HttpRequest, key: str) -> HttpResponse:
    return links.opened(request, KIND, key, "address_confirm")


@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def confirm(request: HttpRequest) -> HttpResponse:
    """By the person only: whoever reads a mail that went to an address by mistake would have an account else."""
    person = cast(User, request.user)
    link = links.of_browser(request, KIND, timezone.now())
    if link is None or not mailed.is_ours(person):
        return links.dead(request, KIND)
    if link.user_id != person.pk:
        context = {"person": person}
        return render(request, "account/address_of_another.html", context, status=403)
    if request.method != "POST":
        return render(request, "account/address_confirm.html", {"person": person, "address": link.address})
    try:
        if not _change(request, person, link):
            return links.dead(request, KIND)
    except accounts.EmailTaken:
        return links.forget(_taken(request))
    messages.success(request, _("Your e-mail address is changed."))
    return links.forget(HttpResponseRedirect(reverse("account_profile")))


def _ask(request: HttpRequest, person: User, wanted: str) -> HttpResponse:
    at = timezone.now()
    own = limiter.reserve([limiter.RESET_MAIL.key(str(KIND), person.pk)], at)
    if not own.allowed or not mailed.may_ask(request, KIND, wanted, at):
        return HttpResponseRedirect(f"{reverse('account_address')}?wait")
    mail_links.ask(KIND, wanted, at, user=person)
    return HttpResponseRedirect(f"{reverse('account_address')}?sent")


def _change(request: HttpRequest, person: User, link: MailLink) -> bool:
    """The session in which it is done goes on; the others end, as the address is what one signs in with."""
    at, session = timezone.now(), binding.session_of(request)
    user = User.objects.get(pk=person.pk)
    user.acting_session = session.pk if session else None
    with transaction.atomic():
        binding.hold_signed_in(request, user)
        if not mail_links.use(link, at):
            return False
        accounts.change_email(user, link.address, verified=True, actor="user", at=at)
    return True


def _taken(request: HttpRequest) -> HttpResponse:
    return error_page(
        request,
        _("This address has an account already"),
        _("Somebody signs in with it here. Your own address is as it was."),
        status=409,
    )


def _not_ours(request: HttpRequest) -> HttpResponse:
    return error_page(
        request,
        _("Your address is not kept here"),
        _("It comes from where you sign in. Please change it there."),
        status=403,
    )
