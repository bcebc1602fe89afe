"""The rulebook of the tenant's settings, said once for every entrance: the model and the admin's form, the tenant file, programs.

An entrance fills a `TenantSettings` that is not saved yet, asks `problems()`, and says them by its own names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from idp.branding import texts
from idp.directory.rules import references_problems
from idp.protocol import uris
from idp.protocol.bounds import Bounds
from idp.protocol.text import colours, normal_forms

if TYPE_CHECKING:
    from idp.models import TenantSettings

A_YEAR = 365 * 24 * 60  # minutes
LONGEST_NAME = 255
LONGEST_REASON = 200
EVER = 36_500  # days
LONGEST_EMAIL = 254
CHOSEN = ("v2_logout_confirmation", "profile", "security_mails", "default_language")
NUMBERS: Mapping[str, Bounds] = {
    "session_lifetime_in_minutes": Bounds(1, A_YEAR),
    "idle_session_lifetime_in_minutes": Bounds(1, A_YEAR),
    "max_sessions_per_user": Bounds(1, 10_000),
    "remember_second_factor_days": Bounds(0, 365),
    "sign_out_timeout": Bounds(1, 60),  # seconds
    "history_retention_days": Bounds(1, 3650),
}


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """Something that a setting may not be; `index` is the place of one value among several."""

    field: str
    reason: str
    value: str = ""
    index: int | None = None

    def __str__(self) -> str:
        return f"{self.value}: {self.reason}" if self.value else self.reason


def problems(tenant: TenantSettings) -> Iterator[SettingProblem]:
    """Everything that the rules have against the settings as they are in memory."""
    yield from _name(tenant)
    for field, bounds in NUMBERS.items():
        if reason := bounds.problem(getattr(tenant, field)):
            yield SettingProblem(field, reason)
    for field, check in TEXTS.items():
        if (value := getattr(tenant, field)) and (reason := check(value)):
            yield SettingProblem(field, reason, value)
    for field in CHOSEN:
        choices = [value for value, _ in tenant._meta.get_field(field).flatchoices]  # type: ignore[union-attr]
        if (value := getattr(tenant, field)) not in choices:
            yield SettingProblem(field, f"it must be one of {', '.join(filter(None, choices))}", value)
    yield from _logout_urls(tenant)
    for field, written in WRITTEN.items():
        for reason in written(getattr(tenant, field)):
            yield SettingProblem(field, reason)
    for index, reason in references_problems(tenant.require_mfa_groups):
        yield SettingProblem("require_mfa_groups", reason, index=index)


def within(tenant: TenantSettings, field: str) -> int:
    """A number as it is used: what was stored before there were bounds counts as the nearest that is allowed."""
    return NUMBERS[field].nearest(getattr(tenant, field))


def days_of_history(tenant: TenantSettings) -> int:
    """For how long the past is kept. A legal hold keeps all of it until it is lifted."""
    return EVER if tenant.legal_hold else within(tenant, "history_retention_days")


def _name(tenant: TenantSettings) -> Iterator[SettingProblem]:
    name = tenant.friendly_name
    if not name.strip():
        yield SettingProblem("friendly_name", "it is missing: people read it on every page")
    elif len(name) > LONGEST_NAME or not name.isprintable():
        yield SettingProblem("friendly_name", f"it must be printable text of at most {LONGEST_NAME} characters")


def _logout_urls(tenant: TenantSettings) -> Iterator[SettingProblem]:
    for index, url in enumerate(tenant.allowed_logout_urls):
        if reason := uris.check_logout_url(url):
            yield SettingProblem("allowed_logout_urls", reason, url, index)


def check_hold(value: str) -> str | None:
    printable = len(value) <= LONGEST_REASON and value.isprintable() and value.strip()
    return None if printable else f"must be a reason of at most {LONGEST_REASON} printable characters, or empty"


def check_colour(value: str) -> str | None:
    return None if colours.is_colour(value) else "must be a colour like #2450b8"


def check_email(value: str) -> str | None:
    try:
        validate_email(value)
    except ValidationError:
        return "is not an e-mail address"
    return f"is longer than {LONGEST_EMAIL} characters" if normal_forms.is_longer_than(LONGEST_EMAIL, value) else None


TEXTS: Mapping[str, Callable[[str], str | None]] = {  # each may be left empty
    "picture_url": uris.check_web_url,
    "legal_hold": check_hold,
    "support_url": uris.check_web_url,
    "support_email": check_email,
    "accent_color": check_colour,
    "picture_url_dark": uris.check_web_url,
    "favicon_url": uris.check_web_url,
    "privacy_url": uris.check_web_url,
    "imprint_url": uris.check_web_url,
    "background_color": check_colour,
    "background_color_dark": check_colour,
}
WRITTEN: Mapping[str, Callable[[object], Iterator[str]]] = {
    "texts": texts.text_problems,
    "mail_templates": texts.mails_problems,
}
