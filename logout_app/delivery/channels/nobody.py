"""No channel: an application took part, and there was no way to tell it. Its row says why, and was finished when it was
written (`DeliveryState.NOT_TOLD`); no worker and no browser has anything to do with it.
"""

from __future__ import annotations

from logout_app.delivery.channels.base import DeliveryChannel
from logout_app.models import Channel

NOT_TOLD = DeliveryChannel(Channel.NONE, "None")
