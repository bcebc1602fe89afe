"""The transmitter of Shared Signals as an API like any other: a client grant lets an application manage its stream.

Tokens for it are opaque, so that they die with the application and the person. People get its scopes only as permissions of
their roles: whoever manages a stream decides where everybody's security events go.
"""

from __future__ import annotations

from django.conf import settings

from idp.models import ResourceServer, TokenFormat

NAME = "Shared Signals"
SSF_READ, SSF_MANAGE = "ssf.read", "ssf.manage"
SCOPES = {SSF_READ: "Read a stream of security events", SSF_MANAGE: "Manage a stream of security events"}
LIFETIME = 3600  # seconds: the CAEP interoperability profile (section 2.7) allows no more


def audience() -> str:
    return f"{settings.ISSUER}ssf/"


def is_asked(scope: list[str]) -> bool:
    """By a scope alone: Apple names no API."""
    return not SCOPES.keys().isdisjoint(scope)


def ensure() -> None:
    """The row, as it must be, whatever an entrance wrote."""
    wanted = {
        "scopes": [{"value": value, "description": words} for value, words in SCOPES.items()],
        "token_dialect": TokenFormat.OPAQUE,
        "token_lifetime": LIFETIME,
        "enforce_policies": True,
        "allow_offline_access": True,
        "is_system": True,
    }
    row = ResourceServer.objects.filter(identifier=audience()).first() or ResourceServer(
        identifier=audience(), name=NAME
    )
    if row._state.adding or any(getattr(row, column) != value for column, value in wanted.items()):
        for column, value in wanted.items():
            setattr(row, column, value)
        row.save()
