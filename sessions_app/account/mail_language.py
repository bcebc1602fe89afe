"""In which language the worker writes to somebody: their own choice, what their identity provider says that they speak, the
page that asked for the mail, the tenant's default."""

from __future__ import annotations

from contextlib import AbstractContextManager

from django.utils import translation

from idp.http import languages
from idp.models import User
from idp.tenants import configuration


def of(user: User | None, asked_in: str = "") -> str:
    """`user`: None, if nobody knows yet who it is."""
    locale = user.claims.get("locale") if user is not None else None
    wanted = [user.language if user else "", locale.replace("_", "-") if isinstance(locale, str) else "", asked_in]
    known = (languages.known(tag) for tag in wanted if tag)
    return next(filter(None, known), "") or languages.default_of(configuration.current().tenant)


def speaking_to(user: User | None, asked_in: str = "") -> AbstractContextManager[None]:
    return translation.override(of(user, asked_in))
