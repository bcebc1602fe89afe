"""Whose right to a stream is taken away, hears of nobody any more: a client grant is more than the key to the API of streams."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils import timezone

from idp.models import ClientGrant
from idp.tenants import signals_api
from logout_app.models import EventStream, StreamKind, StreamState
from logout_app.streams import manage

WHY = "the client grant was taken away"


@receiver(post_save, sender=ClientGrant, dispatch_uid="streams: a grant was changed")
def _changed(instance: ClientGrant, **_: Any) -> None:
    if not signals_api.SCOPES.keys() & set(instance.scope):
        _stop(instance)


@receiver(post_delete, sender=ClientGrant, dispatch_uid="streams: a grant was deleted")
def _deleted(instance: ClientGrant, origin: Any = None, **_: Any) -> None:
    """By itself: with its application the stream goes too."""
    if isinstance(origin, ClientGrant) or (isinstance(origin, QuerySet) and origin.model is ClientGrant):
        _stop(instance)


def _stop(grant: ClientGrant) -> None:
    """Its receiver is told, as of any change of ours; with another grant it may begin anew."""
    if grant.resource_server.identifier != signals_api.audience():
        return
    rows = EventStream.objects.select_related("application").filter(kind=StreamKind.SSF)
    stream = rows.filter(application=grant.application_id).exclude(status=StreamState.DISABLED).first()
    if stream is not None:
        manage.set_status(stream, StreamState.DISABLED, WHY, actor="system", at=timezone.now(), by=manage.SetBy.SYSTEM)
