"""Which URLs an application may be configured with, said once for every door: the admin's form and the model, the tenant
file, registration. And asked again when a stored value is used: what the rules do not allow any more (a setting changed, the
application is of another type now, wildcards were switched off) stays in its row, is shown in the admin, and does nothing.

A rule is given the whole application, because what a value may be often depends on another. What we request ourselves must
also be what `outbound.policy` lets through; what a name resolves to is judged when it is dialled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from idp import outbound
from idp.outbound import policy
from idp.protocol import uris

if TYPE_CHECKING:
    from idp.models import Application, TenantSettings

Rule = Callable[[str, "Application"], str | None]  # what is wrong with one value, in words that follow "it"


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that the rules do not allow; `index` is its place among the values of the field."""

    field: str
    index: int
    value: str
    reason: str


def problems(application: Application) -> Iterator[Problem]:
    """Everything that the rules have against the application as it is in memory."""
    for field in RULES:
        for index, value in enumerate(values(application, field)):
            if reason := problem(application, field, value):
                yield Problem(field, index, value, reason)


def problem(application: Application, field: str, value: str) -> str | None:
    return RULES[field](value, application)


def values(application: Application, field: str) -> list[str]:
    """The values of a column that holds one, a list, or several with spaces between them."""
    stored = getattr(application, field)
    if field in SINGLE:
        return [stored] if stored else []
    return stored.split() if isinstance(stored, str) else list(stored)


def tenant_logout_urls(tenant: TenantSettings) -> list[str]:
    """Where a sign-out that names no application may lead: those of the tenant's URLs that the rules allow."""
    return [url for url in tenant.allowed_logout_urls if not uris.check_logout_url(url)]


def _callback(value: str, application: Application) -> str | None:
    return uris.check_redirect_uri(value, native=application.is_native)


def _logout_url(value: str, application: Application) -> str | None:
    wildcards = application.allow_logout_url_wildcards
    return uris.check_logout_url(value, native=application.is_native, wildcards=wildcards)


def _front_channel(value: str, application: Application) -> str | None:
    return uris.check_frontchannel_uri(value, application.callbacks, issuer=settings.ISSUER)


def _told(value: str, application: Application) -> str | None:
    """We post logout tokens and revocation requests to it."""
    return uris.check_backchannel_uri(value) or _out(value, outbound.rules().only_to(application.outbound_hosts))


def _keys(value: str, application: Application) -> str | None:
    return uris.check_web_url(value) or uris.check_backchannel_uri(value) or _out(value, outbound.rules())


def _out(url: str, rules: policy.Rules) -> str | None:
    reason = policy.check_url(url, rules)
    return f"it {reason}" if reason else None


def _alone(check: Callable[[str], str | None]) -> Rule:
    return lambda value, _: check(value)


RULES: Mapping[str, Rule] = {
    "redirect_uris": _callback,
    "post_logout_redirect_uris": _logout_url,
    "web_origins": _alone(uris.check_origin),
    "allowed_origins": _alone(uris.check_origin),
    "backchannel_logout_uri": _told,
    "frontchannel_logout_uri": _front_channel,
    "global_token_revocation_uri": _told,
    "outbound_hosts": _alone(uris.check_host),
    "jwks_uri": _keys,
    "logo_uri": _alone(uris.check_web_url),
}
SINGLE = frozenset(field for field in RULES if field.endswith("_uri"))


class Usable:
    """The stored values that may be used, each field judged when it is first asked for.

    An application of a configuration snapshot keeps it, so that this costs once per version of the configuration.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    @cached_property
    def callbacks(self) -> tuple[str, ...]:
        return self._all("redirect_uris")

    @cached_property
    def logout_urls(self) -> tuple[str, ...]:
        return self._all("post_logout_redirect_uris")

    @cached_property
    def web_origins(self) -> tuple[str, ...]:
        return self._all("web_origins")

    @cached_property
    def cors_origins(self) -> frozenset[str]:
        """Origins whose scripts may call the token endpoints of this application."""
        return frozenset((*self.web_origins, *self._all("allowed_origins")))

    @cached_property
    def frontchannel_logout_uri(self) -> str:
        return self._one("frontchannel_logout_uri")

    @cached_property
    def jwks_uri(self) -> str:
        return self._one("jwks_uri")

    @cached_property
    def logo_uri(self) -> str:
        return self._one("logo_uri")

    @cached_property
    def https_logo(self) -> str:
        """For pages that every application of a person is on: over http it would be mixed content."""
        return self.logo_uri if urlsplit(self.logo_uri).scheme == "https" else ""

    def _all(self, field: str) -> tuple[str, ...]:
        application = self._application
        return tuple(value for value in values(application, field) if not problem(application, field, value))

    def _one(self, field: str) -> str:
        return next(iter(self._all(field)), "")
