"""Applications that provision: the API that their access tokens are for, and who gets one.

The API is built in. Whoever is chosen at a connection (*How it is provisioned*) is let in, so no client grant is needed; the
IPSIE account lifecycle profile wants exactly this scope, by client_credentials with a client assertion (RFC 7523).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from idp.models import Application, Connection, Provisioning, ResourceServer, TokenFormat

SCOPE = "scim"
LIFETIME = 3600  # seconds
NAME = "Provisioning (SCIM)"


def audience() -> str:
    return f"{settings.ISSUER}scim/v2/"


def base_url(connection: Connection) -> str:
    return f"{audience()}connections/{connection.public_id}"


def api() -> ResourceServer:
    """Not a row: nobody changes it, and no token of a person is made for it."""
    return ResourceServer(
        identifier=audience(),
        name=NAME,
        scopes=[{"value": SCOPE}],
        token_lifetime=LIFETIME,
        token_dialect=TokenFormat.RFC9068,
        allow_offline_access=False,
    )


def is_asked(targets: set[str], scope: list[str]) -> bool:
    """By its name, or by its scope alone where no API is named."""
    return targets == {audience()} or (not targets and scope == [SCOPE])


def is_let_in(application: Application) -> bool:
    """Whether any connection may be written by it; which one, each request is asked (`access`)."""
    return Provisioning.objects.filter(enabled=True, applications=application.pk).exists()


def let_in(client_id: object) -> QuerySet[Provisioning, Provisioning]:
    """What this application may write now."""
    return Provisioning.objects.select_related("connection").filter(
        enabled=True, applications__client_id=client_id, applications__enabled=True
    )


def is_its_own(claims: dict[str, Any], at: datetime) -> bool:
    """A living token for this API that the application got for itself.

    A person's says no more than that they use it, and one that is bound to a key (RFC 9449) is none for who only bears it.
    """
    ends = claims.get("exp")
    return (
        isinstance(ends, int)
        and ends > at.timestamp()
        and claims.get("aud") == audience()
        and SCOPE in str(claims.get("scope", "")).split()
        and claims.get("sub") == f"{claims.get('client_id')}@clients"
        and "cnf" not in claims
    )
