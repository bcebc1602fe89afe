"""Which of a connection's responses and assertions come signed, as administrators see it."""

from __future__ import annotations

import structlog

from idp.models import Connection
from idp.saml.signed import Signed

log = structlog.get_logger(__name__)


def note(connection: Connection, came: Signed) -> None:
    """Somebody was vouched for, so signed. A write only where it is not as it was the last time: providers hardly ever change it."""
    log.info("sign_in.saml_signed", connection=connection.name, signed=came.value)
    if connection.last_signed != came:
        Connection.objects.filter(pk=connection.pk).exclude(last_signed=came).update(last_signed=came)
        connection.last_signed = came
