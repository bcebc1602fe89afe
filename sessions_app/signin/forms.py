"""The form of the login page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from idp.connections import registry
from idp.connections.database import LONGEST_LOGIN, LONGEST_PASSWORD, is_malformed
from idp.models import Connection
from sessions_app.signin.offers import Offer

NO_PASSWORD = gettext_lazy("Enter your password.")
UNKNOWN_DOMAIN = gettext_lazy("No organisation here uses this address. Check it, or use one of the buttons.")


class _Text(forms.CharField):
    """Refuses what must reach neither the hasher nor the database, before anything else looks at it."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if isinstance(text, str) and is_malformed(text, self.max_length or LONGEST_LOGIN):
            raise forms.ValidationError(
                gettext("This cannot be right: it is too long or has characters that nobody can type.")
            )
        return text


class LoginForm(forms.Form):
    """`username` and `password` are stable names; `connection` appears when there is a choice of passwords.

    An address whose domain a connection upstream claims needs no password here. Without password connections the form asks
    for the address only, if one of the others claims any domain. templates/login.html writes the two inputs itself.
    """

    username = _Text(
        max_length=LONGEST_LOGIN, error_messages={"required": gettext_lazy("Enter your e-mail address or user name.")}
    )
    password = _Text(max_length=LONGEST_PASSWORD, strip=False, error_messages={"required": NO_PASSWORD})
    connection = forms.ChoiceField(
        label=gettext_lazy("Account"),
        required=False,
        error_messages={"invalid_choice": gettext_lazy("Choose one of the accounts in the list.")},
    )

    def __init__(self, *args: Any, offer: Offer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.offer = offer
        self.discovers = any(registry.domains(row) for row in offer.redirects)
        if len(offer.passwords) > 1:
            choices = [
                ("", gettext("Find out from my e-mail address")),
                *((row.name, str(row)) for row in offer.passwords),
            ]
            self.fields["connection"].choices = choices  # type: ignore[attr-defined]
        else:
            del self.fields["connection"]
        if self.discovers:
            self.fields["password"].required = False  # `clean` asks for it where it is needed
        if not offer.passwords:
            del self.fields["password"]

    @property
    def known(self) -> str:
        """What the person typed, or who they probably are."""
        return str(self.data.get("username", "") if self.is_bound else self.initial.get("username", ""))[:LONGEST_LOGIN]

    @property
    def focus(self) -> str:
        """The input that gets the cursor, if any."""
        if self.offer.buttons_first:
            return ""
        return "password" if self.known and self.offer.passwords else "username"

    @property
    def is_shown(self) -> bool:
        return bool(self.offer.passwords) or self.discovers

    def clean(self) -> dict[str, Any]:
        """`chosen`: the connection that was chosen or that claims the address's domain; the first one with a password else."""
        data = super().clean() or {}
        if self.errors:
            return data
        chosen = self._find(data["username"], data.get("connection", ""))
        if chosen is None:
            self.add_error("username", UNKNOWN_DOMAIN)
        elif chosen not in self.offer.redirects and not data.get("password"):
            self.add_error("password", NO_PASSWORD)
        return {**data, "chosen": chosen}

    def mark_errors(self) -> None:
        """Tie the message about the choice to its list for screen readers."""
        if "connection" in self.errors and "connection" in self.fields:
            self.fields["connection"].widget.attrs |= {"aria-invalid": "true", "aria-describedby": "error-connection"}

    def _find(self, address: str, named: str) -> Connection | None:
        by_name = {row.name: row for row in self.offer.passwords}
        claims = registry.for_address([*self.offer.redirects, *self.offer.passwords], address)
        return by_name.get(named) or claims or next(iter(self.offer.passwords), None)
