"""Forms of people who make an account, or ask for a mail."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from idp.connections.database import LONGEST_LOGIN, LONGEST_PASSWORD, is_malformed, requires_username
from idp.models import Connection, User
from idp.people import newcomers, password_policy
from idp.tenants import rules

LONGEST_NAME = 255


class AddressForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if rules.check_email(email):  # it may be longer as it is kept
            raise ValidationError(_("This cannot be right: it is too long or has characters that nobody can type."))
        return email


class MailCodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )

    def clean_code(self) -> str:
        """As mails and people write it: in groups."""
        return "".join(str(self.cleaned_data["code"]).split())


class NewAccountForm(forms.Form):
    """A name, a password, and a user name where the connection has them; the address is proved already."""

    name = forms.CharField(
        label=_("Your name"),
        max_length=LONGEST_NAME,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    username = forms.CharField(
        label=_("User name"),
        max_length=LONGEST_LOGIN,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = forms.CharField(
        label=_("New password"),
        max_length=LONGEST_PASSWORD,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, connection: Connection, address: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection, self.address = connection, address
        if not requires_username(connection):
            del self.fields["username"]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if is_malformed(name, LONGEST_NAME) or not name.isprintable():
            raise ValidationError(_("This has characters that nobody can type."))
        return name

    def clean_username(self) -> str:
        typed = str(self.cleaned_data["username"]).strip()
        problem = (
            "no-name" if is_malformed(typed, LONGEST_LOGIN) else newcomers.user_name_problem(self.connection, typed)
        )
        if problem:
            raise ValidationError(
                _("It has a letter that stands for another one: type it plainly.")
                if problem == "look-alike"
                else _("Choose a user name without @.")
            )
        return typed

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if password := data.get("password"):
            person = User(email=self.address, name=data.get("name", ""))
            try:
                password_policy.refuse(password, {password_policy.policy_of(self.connection)}, person)
            except ValidationError as error:
                self.add_error("password", error)
        return data

    def is_taken(self) -> None:
        """What came out when it was written."""
        field = "username" if "username" in self.fields else None
        self.add_error(
            field, gettext("Somebody has this user name already.") if field else gettext("This account exists already.")
        )
