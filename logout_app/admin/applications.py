"""Applications in the admin: does it work, what it did not hear, and what deleting it would leave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Max
from django.http import HttpRequest
from django.utils import timezone

from idp.admin import applications
from idp.admin.support import Act
from idp.models import Application
from logout_app import redeliver
from logout_app.models import DeliveryState, LogoutDelivery
from sessions_app.models import RefreshTokenFamily, SessionClient


def dead(application: Application) -> int:
    return LogoutDelivery.objects.filter(application=application, state=DeliveryState.DEAD).sendable().count()


def do_redeliver(request: HttpRequest, application: Application, at: datetime, form: forms.Form | None) -> str:
    return f"{redeliver.all_dead_of(application.pk, at=at)} deliveries are sent again."


REDELIVER_DEAD = Act(
    "redeliver",
    "Redeliver all dead",
    lambda application: [
        f"{dead(application)} sign-outs that {application} never took are posted to it again, with fresh logout tokens.",
    ],
    do_redeliver,
    offered=lambda application: dead(application) > 0,
    danger=False,
)


class ApplicationAdmin(applications.ApplicationAdmin):
    def get_acts(self) -> Sequence[Act]:
        return (REDELIVER_DEAD, *super().get_acts())

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if obj := kwargs.get("obj"):
            delivered = LogoutDelivery.objects.filter(application=obj, state=DeliveryState.DELIVERED)
            context |= {
                "dead": dead(obj),
                "redeliver_url": self.act_url(obj, REDELIVER_DEAD.name),
                "last_sign_in": SessionClient.objects.filter(application=obj).aggregate(at=Max("joined_at"))["at"],
                "last_told": delivered.aggregate(at=Max("finished_at"))["at"],
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def consequences(self, application: Application) -> list[str]:
        sessions = SessionClient.objects.filter(application=application, session__ended_at=None)
        now = timezone.now()
        live = sessions.filter(session__expires_at__gt=now, session__idle_expires_at__gt=now).count()
        families = RefreshTokenFamily.objects.filter(application=application, revoked_at=None).count()
        waiting = LogoutDelivery.objects.filter(application=application, state=DeliveryState.PENDING).count()
        return [
            *super().consequences(application),
            f"Now: {live} live sessions use it, {families} refresh token families belong to it, "
            f"{waiting} sign-outs wait to be delivered to it.",
        ]
