"""Which of the tenant's settings are a superuser's, and what is written down of a change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from idp import signals
from idp.http.requests import RequestFacts
from idp.models import TenantSettings
from idp.tenants import changes
from idp.tenants.changes import Difference

COSMETIC = frozenset(
    {"friendly_name", "picture_url", "picture_url_dark", "favicon_url", "accent_color", "support_email", "support_url"}
    | {"background_color", "background_color_dark", "privacy_url", "imprint_url", "texts", "default_language"}
    | {"logo_upload", "logo_dark_upload", "favicon_upload"}
)
FIELDS = tuple(
    field.name
    for field in TenantSettings._meta.concrete_fields
    if field.name not in ("id", "config_version", "pairwise_salt")
)
GUARDED = tuple(name for name in FIELDS if name not in COSMETIC)  # what is added tomorrow is, until it is listed above
WHY = "it holds for everybody who signs in here, and for what is remembered of it"


def stored() -> TenantSettings:
    """The row as it is, which nobody else changes until the transaction ends."""
    return TenantSettings.objects.select_for_update(no_key=True).get_or_create(pk=1)[0]


def guarded(before: TenantSettings, after: TenantSettings) -> list[Difference]:
    """What only a superuser with a fresh proof changes."""
    return changes.differences(before, after, GUARDED)


def changed(
    before: TenantSettings, after: TenantSettings, *, actor: str, at: datetime, facts: RequestFacts | None = None
) -> Sequence[Difference]:
    """Tell the audit trail, in the transaction of the change."""
    if found := changes.differences(before, after, FIELDS):
        signals.tenant_changed.send(TenantSettings, changes=changes.rows(found), actor=actor, at=at, facts=facts)
    return found
