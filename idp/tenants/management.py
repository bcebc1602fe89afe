"""The Management API's own row, which is there before anybody grants anything of it."""

from __future__ import annotations

from idp.applications import management_api
from idp.models import ResourceServer


def ensure() -> ResourceServer:
    """The row, with the scopes of this release."""
    row = ResourceServer.objects.filter(identifier=management_api.audience()).first()
    if row is None:
        row = ResourceServer(
            identifier=management_api.audience(), name=management_api.NAME, token_lifetime=management_api.LIFETIME
        )
        row.save()
    elif any(getattr(row, column) != value for column, value in management_api.pinned().items()):
        row.save()
    return row
