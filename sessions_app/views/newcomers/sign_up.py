"""Sign-up: an address first, which a mail proves, then the account. What these pages say is the same for every address."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from idp.http.content_policy import allow_forms_to
from idp.http.requests import facts
from idp.models import Connection, Identity, MailLink, MailLinkKind
from idp.people import mail_links, newcomers
from idp.views.errors import page_errors
from sessions_app.account import mailed
from sessions_app.session import binding
from sessions_app.signin import offers, sign_in
from sessions_app.signin.destinations import Destination, destination
from sessions_app.signin.offers import Offer
from sessions_app.views.newcomers import links
from sessions_app.views.newcomers.forms import AddressForm, NewAccountForm
from sessions_app.views.signin.popups import keep_opener

KIND = MailLinkKind.SIGN_UP


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@keep_opener
@page_errors
def sign_up(request: HttpRequest) -> HttpResponse:
    """Where nobody may sign up for what waits behind `next`, it is the login page that does."""
    given = request.POST if request.method == "POST" else request.GET
    browser = binding.browser_of(request)
    target = destination(given.get("next", ""), browser.snapshot)
    offered = offers.offer(request, target, browser.snapshot, named=given.get("only", "") or target.connection)
    rows = [row for row in offered.passwords if newcomers.is_open_to_everybody(row)]
    if not rows or browser.session is not None:
        return HttpResponseRedirect(f"{reverse('account_login')}?{urlencode({'next': target.url})}")
    form = AddressForm(request.POST or None, initial={"email": target.login_hint})
    if request.method == "POST" and form.is_valid():
        return _ask(request, target, offered, rows, form)
    return _page(request, target, offered, form)


@login_not_required
@require_safe
@page_errors
def sent(request: HttpRequest) -> HttpResponse:
    return render(request, "newcomers/sent.html")


@login_not_required
@require_safe
@page_errors
def open_link(request: HttpRequest, key: str) -> HttpResponse:
    return links.opened(request, KIND, key, "sign_up_finish")


@login_not_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def finish(request: HttpRequest) -> HttpResponse:
    link = links.of_browser(request, KIND, timezone.now())
    if link is None or link.connection is None or newcomers.open_to([link.connection], link.address) is None:
        return links.dead(request, KIND)
    form = NewAccountForm(link.connection, link.address, request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _last_page(request, link, form, 400 if form.errors else 200)
    at, said = timezone.now(), form.cleaned_data
    try:
        identity = _create(request, link, link.connection, said)
    except newcomers.NameTaken:
        form.is_taken()
        return _last_page(request, link, form, 409)
    mail_links.use(link, at)
    target = _onward(request, link)
    response = sign_in.complete(request, identity, method=sign_in.PASSWORD, redirect_url=target.url)
    return links.forget(allow_forms_to(response, target.callback))


def _create(request: HttpRequest, link: MailLink, connection: Connection, said: dict[str, str]) -> Identity:
    """Of two that come at once with one link the second finds the account of the first."""
    return newcomers.create(
        connection,
        link.address,
        said["password"],
        name=said["name"],
        username=said.get("username", ""),
        at=timezone.now(),
        facts=facts(request),
    )


def _ask(
    request: HttpRequest, target: Destination, offered: Offer, rows: list[Connection], form: AddressForm
) -> HttpResponse:
    address, at = str(form.cleaned_data["email"]), timezone.now()
    connection = newcomers.open_to(rows, address)
    if connection is None:
        form.add_error("email", _("Only addresses of certain organisations can sign up here."))
        return _page(request, target, offered, form)
    response = HttpResponseRedirect(reverse("sign_up_sent"))
    browser = links.bind(request, response)
    if mailed.may_ask(request, KIND, address, at):
        mail_links.ask(KIND, address, at, connection=connection, browser=browser, next_url=target.url)
    return response


def _onward(request: HttpRequest, link: MailLink) -> Destination:
    """To what waited, in the browser that asked: to an application it would be somebody else's request in another one."""
    if not mail_links.is_of(link, links.asking_browser(request)):
        return Destination()
    return destination(link.next_url, binding.browser_of(request).snapshot)


def _page(request: HttpRequest, target: Destination, offered: Offer, form: AddressForm) -> HttpResponse:
    context = {"form": form, "target": target, "only": offered.named, "application": target.application}
    return render(request, "newcomers/sign_up.html", context, status=400 if form.errors else 200)


def _last_page(request: HttpRequest, link: MailLink, form: NewAccountForm, status: int) -> HttpResponse:
    response = render(request, "newcomers/sign_up_finish.html", {"form": form, "address": link.address}, status=status)
    return allow_forms_to(response, _onward(request, link).callback)
