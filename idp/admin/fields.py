"""Form fields for what the models keep as lists: one line per value, or one box to tick; and what fields are called.

Django makes a label of the column's name: of `support_url` it would be *Support url*.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.text import capfirst

from idp.protocol import strict_json


class WebUrlField(forms.URLField):
    """A URL typed without a scheme is https; what else it must be is for a rulebook to say."""

    default_validators = []


def https_urls(column: models.Field[Any, Any], **kwargs: Any) -> forms.Field | None:
    """`formfield_callback` of our forms: a URL typed without a scheme is https."""
    if isinstance(column, models.URLField):
        kwargs |= {"assume_scheme": "https", "form_class": WebUrlField}
    return column.formfield(**kwargs)


class LinesField(forms.CharField):
    """A list of strings, one per line; `joined`: kept as one text with spaces between them."""

    def __init__(self, *, joined: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 3, "class": "lines", "spellcheck": "false"}))
        kwargs.setdefault("required", False)
        super().__init__(**kwargs)
        self.joined = joined

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return "\n".join(str(item) for item in value)
        return "\n".join(value.split()) if isinstance(value, str) and self.joined else value

    def to_python(self, value: Any) -> Any:
        lines = list(dict.fromkeys(line.strip() for line in str(super().to_python(value)).splitlines() if line.strip()))
        if self.joined and any(len(line.split()) > 1 for line in lines):
            raise ValidationError("One value per line, without spaces.")
        return " ".join(lines) if self.joined else lines

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "").split() != (data or "").split())


class GroupsField(forms.CharField):
    """References to groups, one per line: a name; or JSON where a name alone would not do."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 3, "class": "lines", "spellcheck": "false"}))
        super().__init__(required=False, strip=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(_reference_line, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        lines = [line.strip() for line in str(super().to_python(value)).splitlines() if line.strip()]
        found: list[Any] = []
        for line in lines:
            reference = _read_reference(line)
            if reference not in found:
                found.append(reference)
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or []) != self.to_python(data))
        except ValidationError:
            return True


def _reference_line(reference: Any) -> str:
    is_plain = isinstance(reference, str) and reference.strip() == reference and len(reference.splitlines()) == 1
    return (
        reference
        if is_plain and reference[0] not in '{"'
        else json.dumps(reference, ensure_ascii=False, sort_keys=True)
    )


def _read_reference(line: str) -> Any:
    if line[0] not in '{"':
        return line
    try:
        return strict_json.parse(line)
    except ValueError:
        raise ValidationError(f"{line[:100]}: this begins like JSON and is none.") from None


class ListField(forms.JSONField):
    """A JSON list."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 8, "class": "lines", "spellcheck": "false"}))
        super().__init__(required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return (
            "[\n" + ",\n".join(f"  {json.dumps(item, ensure_ascii=False, sort_keys=True)}" for item in value) + "\n]"
            if value
            else ""
        )

    def to_python(self, value: Any) -> Any:
        parsed = super().to_python(value)
        if parsed is None:
            return []
        if not isinstance(parsed, list):
            raise ValidationError("This must be a JSON list: [...].")
        return parsed

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or []) != self.to_python(data))
        except ValidationError:
            return True


class TicksField(forms.MultipleChoiceField):
    """A JSON list of known values as boxes to tick."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.CheckboxSelectMultiple, required=kwargs.pop("required", False), **kwargs)


class ScopesField(forms.CharField):
    """`[{"value": ..., "description": ...}]`, one per line: the value, a space, the description."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 5, "class": "lines"}), required=False, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return "\n".join(f"{scope['value']} {scope.get('description', '')}".strip() for scope in value)
        return value

    def to_python(self, value: Any) -> Any:
        scopes: dict[str, dict[str, str]] = {}
        for line in str(super().to_python(value)).splitlines():
            name, _, description = line.strip().partition(" ")
            if not name:
                continue
            if any(not ("!" <= c <= "~") or c in '"\\' for c in name):  # RFC 6749 section 3.3, scope-token
                raise ValidationError(f"{name}: a scope is printable ASCII without quotes and backslashes.")
            scopes[name] = {"value": name, **({"description": description} if description else {})}
        return list(scopes.values())

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "").split() != (data or "").split())


class ObjectField(forms.JSONField):
    """A JSON object whose members must be among `keys` (any, if empty)."""

    def __init__(self, *, keys: Sequence[str] = (), **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 12, "class": "lines", "spellcheck": "false"}))
        super().__init__(required=False, **kwargs)
        self.keys = keys

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        parsed = super().to_python(value)
        if parsed is None:
            return {}
        if not isinstance(parsed, dict):
            raise ValidationError("This must be a JSON object: {...}.")
        if unknown := sorted(set(parsed) - set(self.keys)) if self.keys else []:
            raise ValidationError(f"Unknown: {', '.join(unknown)}. Known are: {', '.join(sorted(self.keys))}.")
        return parsed

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool((initial or {}) != self.to_python(data))
        except ValidationError:
            return True


# --- labels ----------------------------------------------------------------------------------------------------
_IN_CAPITALS = "ACR ACS API CSS DN HTML HTTP HTTPS ID IP JSON JTI JWKS JWT LDAP MFA OIDC PKCE SAML SCIM SHA SSO TLS TOTP TTL URI URL UTC XML"
_MIXED = "DPoP IDs IdP IdPs OAuth OpenID URIs URLs WebAuthn"
WRITTEN = {word.lower(): word for word in f"{_IN_CAPITALS} {_MIXED}".split()} | {
    "sid": "session ID (sid)",
    "sub": "user ID (sub)",
    "alg": "algorithm",
    "max": "most",
}


def sensible(words: str) -> str:
    """The same words, initialisms in capitals."""
    return " ".join(WRITTEN.get(word, word) for word in words.split(" "))


def name_columns(model: type[models.Model]) -> None:
    """In forms, lists, filters and histories. A name that the model gives itself stays; migrations know nothing of these."""
    for field in model._meta.concrete_fields:
        if _is_named_by_django(field):
            field.verbose_name = sensible(str(field.verbose_name))


def name_fields(form: type[forms.BaseForm]) -> None:
    """Of the fields that a form declares without a label."""
    for name, field in form.base_fields.items():  # type: ignore[attr-defined]  # of every form, says Django's metaclass
        if field.label is None:
            field.label = capfirst(sensible(name.replace("_", " ")))


def _is_named_by_django(field: models.Field[Any, Any]) -> bool:
    return field.verbose_name == field.name.replace("_", " ")
