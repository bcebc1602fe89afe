"""A connection's form: typed options for the strategies that we know in full, a JSON object with known keys for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from idp import sealing
from idp.admin.fields import LinesField, ObjectField, https_urls
from idp.connections.options import KEYS, SECRETS, secret_context
from idp.models import Connection, Strategy

if TYPE_CHECKING:
    BaseForm = forms.ModelForm[Connection]
else:
    BaseForm = forms.ModelForm

COLUMNS = {"display_name", "icon_url"}  # options by Auth0's names that have fields of their own here
PASSWORD_POLICIES = [(name, name.title()) for name in ("none", "low", "fair", "good", "excellent")]


class SecretLines(forms.Textarea):
    """A key in PEM has lines, which a password field would join. Never filled in, not even after a mistake."""

    def format_value(self, value: Any) -> str:
        return ""


class NewConnectionForm(BaseForm):
    class Meta:
        model = Connection
        formfield_callback = https_urls
        fields = ("name", "strategy", "display_name")
        help_texts = {
            "name": "Part of the ids of its people and of its URLs: it cannot be changed later.",
            "strategy": "Where people come from. The next page asks what this strategy needs.",
        }


class ConnectionForm(BaseForm):
    """What every strategy has. `option_fields` are kept under their own names in `options`."""

    option_fields: tuple[str, ...] = ()

    class Meta:
        model = Connection
        formfield_callback = https_urls
        fields = ("display_name", "icon_url", "enabled_for_all", "enabled_clients")
        widgets = {"enabled_clients": forms.CheckboxSelectMultiple}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.option_fields:
            if name in self.instance.options:
                self.initial[name] = self.instance.options[name]
        for name in self.secret_fields():
            known = name in self.instance.sealed_options
            self.fields[name] = forms.CharField(
                required=False,
                strip=True,
                max_length=20000,
                widget=SecretLines() if name == "decryptionKey" else forms.PasswordInput(attrs={"autocomplete": "off"}),
                help_text="Set. Type a new one to replace it." if known else "Not set.",
            )

    def secret_fields(self) -> tuple[str, ...]:
        return tuple(sorted(KEYS[self.instance.strategy] & SECRETS))

    def save(self, commit: bool = True) -> Connection:
        self.instance.options = self.merged_options()
        for name in self.secret_fields():
            if value := self.cleaned_data.get(name):
                context = secret_context(self.instance.name, name)
                self.instance.sealed_options[name] = sealing.seal(value, context)
        return super().save(commit)

    def merged_options(self) -> dict[str, Any]:
        """Options that this form does not show stay as they are."""
        shown = {name: self.cleaned_data[name] for name in self.option_fields}
        return {**self.instance.options, **shown}


class DatabaseConnectionForm(ConnectionForm):
    option_fields = (
        "passwordPolicy",
        "brute_force_protection",
        "disable_signup",
        "requires_username",
        "domain_aliases",
    )

    passwordPolicy = forms.ChoiceField(label="Password policy", choices=PASSWORD_POLICIES, initial="good")
    brute_force_protection = forms.BooleanField(
        required=False, initial=True, help_text="Slow down guessing of one person's password."
    )
    disable_signup = forms.BooleanField(
        required=False, initial=True, help_text="Only administrators and the API add people."
    )
    requires_username = forms.BooleanField(
        required=False,
        label="Sign in by user name",
        help_text="People sign in by a user name instead of an e-mail address.",
    )
    domain_aliases = LinesField(
        help_text="One per line, e.g. fabrikamcorp.com. People with such an address are led to this connection."
    )


class JsonConnectionForm(ConnectionForm):
    """Until a strategy has its own form: Auth0's names, secrets apart."""

    options = ObjectField()

    class Meta(ConnectionForm.Meta):
        fields = (*ConnectionForm.Meta.fields, "options")  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keys = sorted(KEYS[self.instance.strategy] - SECRETS - COLUMNS)
        self.fields["options"].keys = keys  # type: ignore[attr-defined]
        self.fields["options"].help_text = f"Known are: {', '.join(keys)}."

    def merged_options(self) -> dict[str, Any]:
        options: dict[str, Any] = self.cleaned_data["options"]
        return options


def form_for(connection: Connection) -> type[ConnectionForm]:
    return DatabaseConnectionForm if connection.strategy == Strategy.DATABASE else JsonConnectionForm
