"""allauth's forms around second factors, each with our limiter before it looks, and a line in the audit when it was wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from allauth.account.adapter import get_adapter
from allauth.core import context
from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.base import forms as mfa_forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp import forms as totp_forms
from allauth.mfa.webauthn import forms as webauthn_forms
from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from idp.http.requests import facts
from idp.models import User
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.signin import attempts, security_keys, sign_in
from sessions_app.signin.attempts import Factor

T = TypeVar("T")


CODE_FIELD = {"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}


class _TypedCode(forms.Form):
    """A telephone shows its digits, and the cursor stands there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs.update(CODE_FIELD)
        self.fields["code"].widget.attrs.pop("placeholder", None)


class CodeForm(_TypedCode, mfa_forms.AuthenticateForm):
    def clean_code(self) -> str:
        code: str = _limited(self.user, _factor_of(self.cleaned_data["code"]), super().clean_code)
        return code


class ReauthenticateCodeForm(_TypedCode, mfa_forms.ReauthenticateForm):
    def clean_code(self) -> str:
        code: str = _limited(self.user, _factor_of(self.cleaned_data["code"]), super().clean_code)
        return code


class ActivateCodeForm(_TypedCode, totp_forms.ActivateTOTPForm):
    def clean_code(self) -> str:
        code: str = _limited(self.user, Factor.CODE, super().clean_code)
        return code


class CredentialField(forms.CharField):
    """A browser's answer, as JSON that can be kept and shown: allauth's field takes what PostgreSQL and UTF-8 do not."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return text
        if (given := security_keys.read(text)) is None:
            raise get_adapter().validation_error("incorrect_code")
        return given

    def run_validators(self, value: Any) -> None:
        """Of text, which this is not any more."""


class SecurityKeyForm(webauthn_forms.AuthenticateWebAuthnForm):
    credential = CredentialField()

    def clean_credential(self) -> Authenticator:
        return _of_key(self.user, super().clean_credential, self.cleaned_data["credential"])


class ReauthenticateSecurityKeyForm(webauthn_forms.ReauthenticateWebAuthnForm):
    credential = CredentialField()

    def clean_credential(self) -> Authenticator:
        return _of_key(self.user, super().clean_credential, self.cleaned_data["credential"])


class AddSecurityKeyForm(webauthn_forms.AddWebAuthnForm):
    name = forms.CharField(required=False, max_length=security_keys.LONGEST_NAME)
    credential = CredentialField()

    def clean(self) -> dict[str, Any]:
        return security_keys.valid(super().clean, self.cleaned_data.get("credential"))


class RenameSecurityKeyForm(webauthn_forms.EditWebAuthnForm):
    name = forms.CharField(max_length=security_keys.LONGEST_NAME)


def _of_key(user: User, check: Callable[[], Authenticator], given: Any) -> Authenticator:
    return _limited(user, Factor.SECURITY_KEY, functools.partial(security_keys.checked, check, given, timezone.now()))


def _factor_of(code: str) -> Factor:
    """What this may be the right value of: an app's code is shorter than a recovery code, so neither can be the other."""
    return Factor.CODE if len(normalize_user_code(code)) == app_settings.TOTP_DIGITS else Factor.RECOVERY


def _limited(user: User, factor: Factor, check: Callable[[], T]) -> T:
    """allauth's own limits are off. The slot is taken before anything is looked at, and given back when it was right."""
    request, at = context.request, timezone.now()
    identity = sign_in.identity_in(request, user)
    if identity is None:
        raise PermissionDenied("this person did not come in by an account that still exists")
    try:
        reservation = attempts.reserve_factor(request, identity, factor, at)
    except attempts.TooManyAttempts:
        if factor is Factor.SECURITY_KEY:  # a hidden field, beside which allauth shows no error: a page of its own
            raise
        raise get_adapter().validation_error("too_many_login_attempts") from None
    try:
        proved = check()
    except ValidationError:
        data = {"factor": str(factor)}
        trail.record(
            EventType.SECOND_FACTOR_FAILED,
            user=user,
            connection=identity.connection,
            facts=facts(request),
            at=at,
            data=data,
        )
        raise
    attempts.give_back(reservation)
    return proved
