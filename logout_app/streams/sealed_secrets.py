"""What streams and webhooks keep sealed (`idp.crypto.sealed`)."""

from idp.crypto import sealed
from logout_app.delivery.channels.streams import sealed_for
from logout_app.models import EventStream

sealed.register(
    sealed.of_columns(
        "secrets of streams and webhooks",
        EventStream.objects.all,
        authorization=lambda row: sealed_for(row, "authorization"),
        secret=lambda row: sealed_for(row, "secret"),
    )
)
