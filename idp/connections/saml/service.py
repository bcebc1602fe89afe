"""Who we are to an identity provider: our entity id and endpoints, one set for each connection."""

from __future__ import annotations

from django.conf import settings

from idp.connections.saml.options import SamlOptions
from idp.models import Connection


def entity_id(connection: Connection, options: SamlOptions) -> str:
    """What the administrator chose, or the URL of our metadata."""
    return options.entity_id or metadata_url(connection)


def metadata_url(connection: Connection) -> str:
    return f"{settings.ISSUER}samlp/{connection.name}/metadata"


def logout_url(connection: Connection) -> str:
    return f"{settings.ISSUER}samlp/{connection.name}/slo"
