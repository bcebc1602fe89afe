"""Uploaded pictures as rows: content by its own hash, so that an address never shows anything else."""

from __future__ import annotations

import re

from idp.branding.images import TYPES, Picture
from idp.models import BrandImage, TenantSettings

COLUMNS = ("logo_upload", "logo_dark_upload", "favicon_upload")
NAME = re.compile(rf"[0-9a-f]{{64}}\.({'|'.join(TYPES)})")


def keep(picture: Picture) -> str:
    """Its name, for a column of the tenant's settings."""
    BrandImage.objects.get_or_create(name=picture.name, defaults={"content": picture.content})
    return picture.name


def forget_unused(tenant: TenantSettings) -> None:
    """In the transaction in which the settings are saved."""
    BrandImage.objects.exclude(name__in=[getattr(tenant, column) for column in COLUMNS]).delete()


def find(name: str) -> bytes | None:
    if not NAME.fullmatch(name):
        return None
    row = BrandImage.objects.filter(name=name).first()
    return bytes(row.content) if row else None


def content_type(name: str) -> str:
    return TYPES[name.rpartition(".")[2]]
