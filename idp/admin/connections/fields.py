"""Form fields for a connection's options. A field's name is the option's path, with two underscores for a dot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from idp.admin.fields import LinesField, ObjectField
from idp.connections.option_types import LONGEST
from idp.connections.options import DEFAULTS

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Topic:
    """A fieldset: what to do in one sentence, and the options that it is about."""

    title: str
    fields: tuple[str, ...]
    text: str = ""
    collapsed: bool = False


def text(label: str, help_text: str = "", kind: type[forms.CharField] = forms.CharField) -> forms.CharField:
    widget = forms.TextInput(attrs={"class": "vTextField", "spellcheck": "false", "autocomplete": "off"})
    return kind(label=label, help_text=help_text, max_length=1000, required=False, widget=widget)


def words(label: str, help_text: str = "") -> forms.CharField:
    return text(label, help_text, WordsField)


def url(label: str, help_text: str = "") -> forms.CharField:
    return text(label, help_text)


def document(label: str, help_text: str, rows: int = 6) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows, "class": "lines", "spellcheck": "false"})
    return forms.CharField(label=label, help_text=help_text, required=False, max_length=LONGEST, widget=widget)


def tick(label: str, help_text: str = "", *, initial: bool = False) -> forms.BooleanField:
    return forms.BooleanField(label=label, help_text=help_text, required=False, initial=initial)


def choice(label: str, choices: list[tuple[str, str]], help_text: str = "", initial: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label, choices=choices, help_text=help_text, required=False, initial=initial or choices[0][0]
    )


def email_is_verified() -> forms.BooleanField:
    return tick(
        "Addresses of this source are verified",
        "Only if people there cannot write an address into their own account. Where the provider says itself that one is not "
        "verified, that counts. Takes effect at each person's next sign-in.",
    )


class _WantsSigned(forms.ChoiceField):
    """The usual choice is that of a connection without the option; one that says it by name means the same."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value == DEFAULTS["wants_signed"] else value


def wants_signed() -> forms.ChoiceField:
    return _WantsSigned(
        label="What must be signed",
        required=False,
        choices=[
            ("", "The response or the assertion (usual)"),
            ("assertion", "The assertion: what Entra and ADFS sign by default"),
            ("response", "The response"),
            ("both", "Both"),
        ],
        help_text="Whatever is signed must be signed by the provider. Test connection says what came the last time.",
    )


def lines(label: str, help_text: str) -> LinesField:
    return LinesField(label=label, help_text=help_text)


def mapping(label: str, help_text: str) -> ObjectField:
    widget = forms.Textarea(attrs={"rows": 4, "class": "lines", "spellcheck": "false"})
    return ObjectField(label=label, help_text=help_text, widget=widget)


class SeveralField(LinesField):
    """One per line. One alone is kept as text, several as a list: both are Auth0's forms."""

    def to_python(self, value: Any) -> Any:
        found = super().to_python(value)
        return found[0] if len(found) == 1 else found


class WordsField(forms.CharField):
    """Words with spaces between; kept as text, shown also where a list is kept."""

    def prepare_value(self, value: Any) -> Any:
        return " ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> str:
        return " ".join(str(super().to_python(value)).split())

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "").split() != (data or "").split())


class CertificatesField(forms.CharField):
    """One certificate or several below each other: PEM, or bare base64 with an empty line between two. One is kept as text, several as a list."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 8, "class": "lines", "spellcheck": "false"}))
        super().__init__(required=False, max_length=LONGEST, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n\n".join(str(item).strip() for item in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        given = str(super().to_python(value)).replace("\r\n", "\n").strip()
        found = _PEM.findall(given) or [part.strip() for part in re.split(r"\n\s*\n", given) if part.strip()]
        if "PRIVATE KEY" in given:
            raise ValidationError("This holds a private key. Paste the certificate only.")
        return found[0] if len(found) == 1 else found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "").split() != (data or "").split())
