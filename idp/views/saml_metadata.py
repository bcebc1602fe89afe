"""Our SAML metadata: one document for each connection that speaks SAML, enabled or not, since it is set up there first."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from idp.connections.dialects import SAML, dialect
from idp.connections.registry import callback_url
from idp.connections.saml import options, own_metadata
from idp.connections.saml.options import BadOptions, SamlOptions
from idp.http.middleware import for_programs
from idp.models import Connection
from idp.protocol.errors import InvalidRequest
from idp.tenants import configuration
from idp.views.errors import json_errors

MEDIA_TYPE = "application/samlmetadata+xml"


@for_programs
@login_not_required
@require_safe
@json_errors
def metadata(request: HttpRequest, connection: str) -> HttpResponse:
    row = configuration.current().connection(connection)
    if row is None or dialect(row.strategy, row.options) != SAML:
        raise InvalidRequest("There is no SAML connection of this name here.", status=404)
    document = own_metadata.document(row, _options(row), callback_url(row), timezone.now())
    return HttpResponse(document, content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


def _options(connection: Connection) -> SamlOptions:
    """An identity provider often wants our document before it gives its own: what is missing does not matter here."""
    given = connection.options
    try:
        return options.read(connection.strategy, given)
    except BadOptions:
        own = given.get("entityId")
        return SamlOptions(
            entity_id=own.strip() if isinstance(own, str) else "", sign_requests=given.get("signSAMLRequest") is True
        )
