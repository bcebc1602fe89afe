"""Forms about people in the admin: somebody new, what is written of somebody, and a new password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth.password_validation import validate_password

from idp.admin.fields import ObjectField, https_urls
from idp.connections.database import LONGEST_LOGIN, by_login, requires_username
from idp.models import Connection, Identity, Strategy, User
from idp.people import metadata, password_policy
from idp.protocol.text import normal_forms
from idp.scim import ownership
from idp.tenants import rules

if TYPE_CHECKING:
    BaseUserForm = forms.ModelForm[User]
else:
    BaseUserForm = forms.ModelForm


def _fits(address: str) -> None:
    if reason := rules.check_email(address):
        raise forms.ValidationError(f"It {reason}.")


class NewUserForm(BaseUserForm):
    """A person of a database connection. Others appear by themselves at their first sign-in."""

    connection = forms.ModelChoiceField(
        Connection.objects.filter(strategy=Strategy.DATABASE),
        help_text="Database connections only: people of other connections appear when they first sign in.",
    )
    email = forms.EmailField(max_length=254, validators=[_fits])
    username = forms.CharField(
        label="User name", max_length=255, required=False, help_text="Where the connection asks for user names."
    )
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}), strip=False, max_length=128
    )

    class Meta:
        model = User
        formfield_callback = https_urls
        fields = ("email", "email_verified", "name")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        connection, email = cleaned.get("connection"), cleaned.get("email")
        named = connection is not None and requires_username(connection)
        typed = (cleaned.get("username", "").strip() if named else email) or ""
        login = normal_forms.name(typed)
        if named and (not login or "@" in login):
            self.add_error("username", "Give a user name without @: people of this connection sign in with it.")
        elif named and normal_forms.is_longer_than(LONGEST_LOGIN, typed):
            self.add_error("username", f"It is longer than {LONGEST_LOGIN} characters.")
        elif named and normal_forms.has_look_alike(typed):
            self.add_error("username", "It has a letter that stands for another one: type it plainly.")
        elif connection and login and by_login(connection, typed) is not None:
            what = "user name" if named else "address"
            self.add_error("username" if named else "email", f"Somebody signs in with this {what} already.")
        cleaned["login"] = login
        if connection and (password := cleaned.get("password")):
            person = User(email=email or "", name=cleaned.get("name") or "")
            try:
                password_policy.refuse(password, {password_policy.policy_of(connection)}, person)
            except forms.ValidationError as error:
                self.add_error("password", error)
        return cleaned


class UserForm(BaseUserForm):
    user_metadata = ObjectField(label="User metadata", help_text="A JSON object. Facts that the person may know.")
    app_metadata = ObjectField(label="App metadata", help_text="A JSON object. Facts that only administrators change.")

    class Meta:
        model = User
        formfield_callback = https_urls
        exclude = ("password", "claims")  # `claims` are the connection's

    def clean_user_metadata(self) -> dict[str, Any]:
        return self._metadata("user_metadata")

    def clean_app_metadata(self) -> dict[str, Any]:
        return self._metadata("app_metadata")

    def _metadata(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = self.cleaned_data[name]
        if reason := metadata.problem(value):
            raise forms.ValidationError(f"It {reason}.")
        return value

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        login = normal_forms.name(email)
        mine = Connection.objects.filter(strategy=Strategy.DATABASE, identities__user=self.instance)
        if email and "email" in self.changed_data:
            _fits(email)
        if "email" in self.changed_data and (owner := ownership.owner(self.instance)):
            raise forms.ValidationError(ownership.why_fixed(owner))
        if "email" in self.changed_data and (
            Identity.objects.filter(connection__in=mine, login=login).exclude(user=self.instance).exists()
        ):
            raise forms.ValidationError("Somebody else signs in with this address.")
        return email


class NewPasswordForm(forms.Form):
    password = forms.CharField(
        label="New password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        strip=False,
        max_length=128,
    )

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        self.user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, self.user)
        return password
