"""allauth's forms around passwords."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as account_forms
from allauth.account.adapter import get_adapter
from allauth.core import context
from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from idp.connections.database import is_malformed
from idp.http.requests import client_ip, facts
from idp.limits import guesses, limiter
from idp.models import User
from idp.protocol.text import normal_forms
from sessions_app.account import mail
from sessions_app.session import binding
from sessions_app.signin import attempts, sign_in

LABELS = {
    "email": _("E-mail address"),
    "oldpassword": _("Current password"),
    "password": _("Password"),
    "password1": _("New password"),
    "password2": _("New password, once more"),
}


class _Labelled(forms.Form):
    """In the words of our own forms; a label that stands in its field too is read twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = LABELS.get(name, field.label)


class ReauthenticateForm(_Labelled, account_forms.ReauthenticateForm):
    """The password once more."""


class ResetPasswordKeyForm(_Labelled, account_forms.ResetPasswordKeyForm):
    """The new password, behind the link of a mail."""

    def save(self) -> None:
        """Raises PermissionDenied if the link ceased to work meanwhile: by another password, or another address."""
        with transaction.atomic():
            mine = User.objects.select_for_update(no_key=True).filter(pk=self.user.pk)
            if list(mine.values_list("password", "email")) != [(self.user.password, self.user.email)]:
                raise PermissionDenied("the link ceased to work meanwhile")
            super().save()


class ResetPasswordForm(_Labelled, account_forms.ResetPasswordForm):
    """The same few statements for every address: whose it is, is found out when the mail is sent."""

    allowed = False

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        key = limiter.RESET_MAIL.key(normal_forms.name(email))
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


class ChangePasswordForm(_Labelled, account_forms.ChangePasswordForm):
    """The old password is asked for like one that signs in: the same budgets, the same audit."""

    def clean_oldpassword(self) -> str:
        password: str = self.cleaned_data["oldpassword"]
        try:
            proved = sign_in.proves_again(context.request, self.user, password, timezone.now(), own=True)
        except attempts.TooManyAttempts:
            raise get_adapter().validation_error("too_many_login_attempts") from None
        if not proved:
            raise get_adapter().validation_error("enter_current_password")
        return password

    def save(self) -> None:
        """Raises PermissionDenied if the session ended meanwhile."""
        with transaction.atomic():
            binding.hold_signed_in(context.request, self.user)
            super().save()


class UserTokenForm(account_forms.UserTokenForm):
    """The person whom a link names, while their connection and they themselves may still sign in."""

    def _get_user(self, uidb36: str) -> User | None:
        user: User | None = super()._get_user(uidb36)
        return user if user is not None and mail.may_reset(user) else None

    def clean(self) -> dict[str, Any]:
        """Raises TooManyRequests when a network brings too many links that are none."""
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            guesses.count(facts(context.request), limiter.ENDPOINT, "reset link", timezone.now())
            raise
        return cleaned
