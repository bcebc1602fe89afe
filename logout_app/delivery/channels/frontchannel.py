"""OpenID Connect Front-Channel Logout 1.0: a frame of the sign-out page, of the session that its browser had."""

from __future__ import annotations

from idp.models import Application, User
from logout_app.delivery.channels.base import DeliveryChannel, Hearing
from logout_app.models import Channel, DeliveryState
from logout_app.protocol import silence
from sessions_app.models import SessionClient, SSOSession

FIELD = "frontchannel_logout_uri"
FRAMES = f"""
SELECT {{event}}, session.id, application.id, '', application.client_id, person.user_id, session.sid,
    '{Channel.FRONTCHANNEL}', '{DeliveryState.PENDING}', %(at)s, %(at)s, 0, 0, '', NULL
FROM {SessionClient._meta.db_table} joined
JOIN {SSOSession._meta.db_table} session ON session.id = joined.session_id
JOIN {User._meta.db_table} person ON person.id = session.user_id
JOIN {Application._meta.db_table} application ON application.id = joined.application_id
WHERE joined.session_id {{among}} AND joined.session_id = %(page)s AND application.{FIELD} <> ''
    AND application.enabled"""  # noqa: S608  constants only

FRONTCHANNEL = DeliveryChannel(
    Channel.FRONTCHANNEL,
    "Front channel",
    Hearing(
        FIELD,
        also="joined.session_id = %(page)s",
        silent=f"'{silence.NO_BROWSER}'",
        silent_in_python=lambda _: silence.NO_BROWSER,
    ),
    FRAMES,
    on=lambda occasion: occasion.page,
    in_browser=True,
)
