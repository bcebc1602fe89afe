"""What an application is told of a person in an assertion: from the same claims and mappings as OpenID Connect, by the names of
Auth0's `addons.samlp`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from idp.applications.subjects import subject_for
from idp.protocol.standard_scopes import GROUPS, OPENID, ROLES
from idp.saml.application.settings import MAPPINGS, UNKNOWN_CLAIM, SamlSettings
from sessions_app.claims import issue
from sessions_app.claims.issue import ID_TOKEN, ClaimSubject
from sessions_app.claims.standard import known_claims
from sessions_app.protocol import claims

IDENTITY = "http://schemas.auth0.com/identities/default/"
UPN = "upn"
Values = list[Any]


def scope_of(settings: SamlSettings) -> list[str]:
    """Of an application that asks by its configuration: profile and e-mail; all groups and roles only if an
    administrator maps them."""
    named = [name for name in (GROUPS, ROLES) if name in settings.mappings and settings.mappings is not MAPPINGS]
    return [OPENID, "profile", "email", *named]


def attributes(subject: ClaimSubject, settings: SamlSettings) -> dict[str, Values]:
    """Values by the attribute's name; what is unknown of the person is left out. A mapping decides its claim's name, a
    claim that has none comes by its own if the settings say so."""
    found: dict[str, Values] = {}
    for claim, value in _told(subject, settings).items():
        name = settings.mappings.get(claim) or (_others(claim, settings) if settings.passes_others_through else "")
        if name and (values := _values(value)):
            found[name] = values
    if settings.tells_identity:
        found |= {IDENTITY + name: [value] for name, value in _identity(subject)}
    return found


def _told(subject: ClaimSubject, settings: SamlSettings) -> Mapping[str, Any]:
    standard = claims.select(known_claims(subject.user), subject.scope)
    mapped = issue.tell(subject, ID_TOKEN, asked=())
    user_id = subject_for(subject.user.user_id, subject.application, subject.snapshot)
    told = {"user_id": user_id, **standard, **mapped}
    if settings.creates_upn and UPN not in told and subject.user.email and subject.user.email_verified:
        told[UPN] = subject.user.email
    return told


def _others(claim: str, settings: SamlSettings) -> str:
    return claim if settings.others_as_they_are or ":" in claim else f"{UNKNOWN_CLAIM}{claim}"


def _values(value: Any) -> Values:
    """A list is several values; what is no text, number or switch has no form in an assertion."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str | int | float | bool) and one != ""]


def _identity(subject: ClaimSubject) -> Iterator[tuple[str, str]]:
    connection = subject.session.connection if subject.session else None
    if connection is not None:
        yield "connection", connection.name
        yield "provider", connection.strategy
