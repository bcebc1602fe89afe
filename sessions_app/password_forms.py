"""allauth's forms around forgotten passwords."""

from __future__ import annotations

from allauth.account import forms as account_forms
from allauth.core import context
from django.http import HttpRequest
from django.utils import timezone

from idp import limiter
from idp.connections.database import is_malformed
from idp.models import User
from idp.requests import client_ip
from sessions_app import mail


class ResetPasswordForm(account_forms.ResetPasswordForm):
    """The same few statements for every address: whose it is, is found out when the mail is sent."""

    allowed = False

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        key = limiter.RESET_MAIL.key(email.lower())
        network = limiter.ADDRESS.key("reset", limiter.prefix(client_ip(context.request)))
        taken = limiter.reserve([key, network], timezone.now())
        if network in taken.exhausted and (rest := taken.without_exhausted()):
            limiter.undo(rest)  # addresses that somebody makes up leave no rows
        self.allowed = taken.allowed and not is_malformed(email, 254)
        return email

    def save(self, request: HttpRequest, **kwargs: object) -> str:
        email: str = self.cleaned_data["email"]
        if self.allowed:
            mail.ask_for_reset(email, timezone.now())
        return email


class UserTokenForm(account_forms.UserTokenForm):
    """The person whom a link names, while their connection and they themselves may still sign in."""

    def _get_user(self, uidb36: str) -> User | None:
        user: User | None = super()._get_user(uidb36)
        return user if user is not None and mail.may_reset(user) else None
