"""Sign-in by mail, where a connection has it: a code that is typed here, or a link that is opened in this browser."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from idp.connections import registry
from idp.connections.registry import Purpose, usable_for
from idp.http.content_policy import allow_forms_to
from idp.models import Connection, Identity, MailLink, MailLinkKind
from idp.people import mail_links
from idp.views.errors import page_errors
from sessions_app.account import mailed
from sessions_app.session import binding
from sessions_app.signin import attempts, offers, sign_in
from sessions_app.signin.destinations import Destination, destination
from sessions_app.views.newcomers import links
from sessions_app.views.newcomers.forms import AddressForm, MailCodeForm
from sessions_app.views.signin.popups import keep_opener

KIND = MailLinkKind.SIGN_IN


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@keep_opener
@page_errors
def ask(request: HttpRequest) -> HttpResponse:
    given = request.POST if request.method == "POST" else request.GET
    snapshot = binding.browser_of(request).snapshot
    target = destination(given.get("next", ""), snapshot)
    offered = offers.offer(request, target, snapshot, named=given.get("only", "") or target.connection)
    rows = [row for row in offered.passwords if mailed.by_mail(row)]
    if not rows:
        return HttpResponseRedirect(f"{reverse('account_login')}?{urlencode({'next': target.url})}")
    form = AddressForm(request.POST or None, initial={"email": target.login_hint})
    if request.method == "POST" and form.is_valid():
        return _send(request, target, rows, str(form.cleaned_data["email"]))
    context = {"form": form, "target": target, "only": offered.named, "application": target.application}
    return render(request, "newcomers/by_mail.html", context, status=400 if form.errors else 200)


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@keep_opener
@page_errors
def code(request: HttpRequest) -> HttpResponse:
    """Where the browser that asked waits: for the code of the mail, or for its link."""
    at = timezone.now()
    link = mail_links.waiting_in(KIND, links.asking_browser(request), at)
    if link is None or link.connection is None:
        return links.dead(request, KIND)
    how = mailed.by_mail(link.connection)
    form = MailCodeForm(request.POST if request.method == "POST" else None)
    target = destination(link.next_url, binding.browser_of(request).snapshot)
    if request.method == "POST" and link.wrong_codes >= mail_links.MOST_WRONG:
        form.add_error(None, _("Too many wrong codes. Ask for a new mail."))
    elif request.method == "POST" and how == "code" and form.is_valid():
        identity = mailed.reader(link)
        reserved = attempts.reserve_mail_code(request, link.connection, link.address, identity, at)
        if mail_links.try_code(link, form.cleaned_data["code"], at) and identity is not None:
            attempts.give_back(reserved)
            return allow_forms_to(_complete(request, link, identity), target.callback)
        sign_in.record_wrong_code(request, link.connection, identity, at)
        form.add_error("code", _("This code is wrong or too old."))
    status = 429 if form.non_field_errors() else 400 if form.errors else 200
    context = {"form": form, "how": how, "address": link.address, "target": target}
    response = render(request, "newcomers/by_mail_code.html", context, status=status)
    return allow_forms_to(response, target.callback)


@login_not_required
@require_safe
@page_errors
def open_link(request: HttpRequest, key: str) -> HttpResponse:
    return links.opened(request, KIND, key, "by_mail_confirm")


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@page_errors
def confirm(request: HttpRequest) -> HttpResponse:
    """A button, in the browser that asked: what opens a link before its reader does signs nobody in."""
    at = timezone.now()
    link = links.of_browser(request, KIND, at)
    if link is None:
        return links.dead(request, KIND)
    if not mail_links.is_of(link, links.asking_browser(request)):
        return render(request, "newcomers/other_browser.html", status=403)
    target = destination(link.next_url, binding.browser_of(request).snapshot)
    if request.method == "POST":
        identity = mailed.reader(link)
        if identity is None or not mail_links.use(link, at):
            return links.dead(request, KIND)
        return links.forget(allow_forms_to(_complete(request, link, identity), target.callback))
    context = {"address": link.address, "target": target}
    return allow_forms_to(render(request, "newcomers/by_mail_confirm.html", context), target.callback)


def _send(request: HttpRequest, target: Destination, rows: list[Connection], address: str) -> HttpResponse:
    at = timezone.now()
    connection = registry.for_address(rows, address) or rows[0]
    response = HttpResponseRedirect(reverse("by_mail_code"))
    browser = links.bind(request, response)
    if mailed.may_ask(request, KIND, address, at, connection):
        mail_links.ask(KIND, address, at, connection=connection, browser=browser, next_url=target.url)
    return response


def _complete(request: HttpRequest, link: MailLink, identity: Identity) -> HttpResponse:
    """The mailbox is proved; a second factor, if they have one, comes next."""
    at = timezone.now()
    snapshot = binding.browser_of(request).snapshot
    target = destination(link.next_url, snapshot)
    if not usable_for(identity.connection, Purpose.SIGN_IN, target.application, snapshot):
        return links.dead(request, KIND)
    if not identity.user.is_active:
        sign_in.record_blocked(request, identity, at)
        return links.dead(request, KIND)
    mailed.is_theirs(identity, at)
    response = sign_in.complete(request, identity, method=sign_in.MAIL, redirect_url=target.url)
    offers.remember(response, identity.connection)
    return response
