"""The channels. A new one is a module and a line here: the planner, workers, pages and metrics read this table."""

from __future__ import annotations

from django.db.models import Q

from logout_app.delivery.channels.backchannel import BACKCHANNEL
from logout_app.delivery.channels.base import DeliveryChannel, Dispatch
from logout_app.delivery.channels.command import COMMAND
from logout_app.delivery.channels.frontchannel import FRONTCHANNEL
from logout_app.delivery.channels.gtr import GTR
from logout_app.delivery.channels.nobody import NOT_TOLD
from logout_app.delivery.channels.reauthentication import REAUTHENTICATION
from logout_app.delivery.channels.saml import SAML_BROWSER, SAML_SOAP
from logout_app.delivery.channels.streams import POLL, STREAM, WEBHOOK

# In the order in which an application is asked why it hears by none of them.
CHANNELS: tuple[DeliveryChannel, ...] = (
    BACKCHANNEL,
    FRONTCHANNEL,
    SAML_SOAP,
    SAML_BROWSER,
    GTR,
    REAUTHENTICATION,
    COMMAND,
    STREAM,
    POLL,
    WEBHOOK,
    NOT_TOLD,
)

BY_NAME = {channel.name: channel for channel in CHANNELS}
SENT = {channel.name: channel.dispatch for channel in CHANNELS if channel.dispatch}  # by workers
IN_BROWSER = tuple(channel.name for channel in CHANNELS if channel.in_browser)
ANSWER_US = tuple(channel.name for channel in CHANNELS if channel.answers_us)
OF_PERSON = tuple(channel.name for channel in CHANNELS if channel.of_person)


def dispatch_of(name: str) -> Dispatch:
    """Of a row that was claimed; KeyError for a channel that no worker sends."""
    return SENT[name]


def known(name: str) -> str:
    """A label of metrics: whatever is in a row, there are few of them."""
    return name if name in BY_NAME else "unknown"


def without_url() -> Q:
    """Applications that hear by no channel at all."""
    return Q(**{channel.hearing.field: "" for channel in CHANNELS if channel.hearing})
