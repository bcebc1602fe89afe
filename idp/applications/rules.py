"""The rulebook: what an application may be, said once for every entrance (the model and the admin's form, the tenant file,
registration, programs). An entrance translates into an `Application` that is not saved yet, asks `problems()`, and says them
by its own names.

`columns` are its rules about names, choices, numbers and what goes together, `keys` those about public keys, `claims` and
`access` about what it learns of people and who may use it; here are those about URLs, which are asked again when a stored value is used: what the rules do not allow any more (a setting
changed, the application is of another type now, wildcards were switched off) stays in its row, is shown in the admin, and
does nothing (`usable`).

A rule is given the whole application, because what a value may be often depends on another. What we request ourselves must
also be what `outbound.policy` lets through; what a name resolves to is judged when it is dialled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from django.conf import settings

from idp import outbound
from idp.applications import access, claims, columns, keys, mobile, subjects
from idp.applications.problem import Problem
from idp.outbound import policy
from idp.protocol import uris
from idp.saml.application import settings as saml
from idp.saml.application import wsfed

if TYPE_CHECKING:
    from idp.models import Application, TenantSettings

Rule = Callable[[str, "Application"], str | None]  # what is wrong with one value, in words that follow "it"


def problems(application: Application) -> Iterator[Problem]:
    """Everything that the rules have against the application as it is in memory."""
    yield from columns.problems(application)
    yield from keys.problems(application)
    yield from mobile.problems(application)
    yield from subjects.problems(application)
    yield from claims.problems(application)
    yield from access.problems(application)
    yield from saml.problems(application)
    yield from wsfed.problems(application)
    yield from _urls(application)


def _urls(application: Application) -> Iterator[Problem]:
    for field in RULES:
        for index, value in enumerate(values(application, field)):
            if reason := problem(application, field, value):
                yield Problem(field, reason, value, index, DEPENDS.get(field, ()), is_used=False)


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
    "reauthentication_uri": _told,
    "command_endpoint": _told,
    "outbound_hosts": _alone(uris.check_host),
    "jwks_uri": _keys,
    "sector_identifier_uri": _keys,  # we ask it when a stranger registers
    "logo_uri": _alone(
        uris.check_web_url
    ),  # browsers load it, we never do: a private address is the reader's own network
    "policy_uri": _alone(uris.check_web_url),
    "tos_uri": _alone(uris.check_web_url),
}
DEPENDS = {"frontchannel_logout_uri": ("redirect_uris",)}
SINGLE = frozenset(field for field in RULES if field.endswith(("_uri", "_endpoint")))
