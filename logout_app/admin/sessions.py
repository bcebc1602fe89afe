"""A session's page: its story from sign-in to the last application that was told, and *End this session*."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from idp.admin.support import AdminAct, actor_of
from idp.protocol.initiators import Initiator
from logout_app.admin import reauthentication
from logout_app.admin.timeline import timeline
from logout_app.ending import not_told
from logout_app.ending.end import Selection, end_sessions
from sessions_app import admin as sessions
from sessions_app.models import SessionClient, SSOSession


def explain_end(session: SSOSession) -> list[str]:
    names = [
        str(client.application)
        for client in SessionClient.objects.filter(session=session).select_related("application")
    ]
    told = f"{', '.join(names)} took part" if names else "No application took part"
    return [
        f"{session.user} is signed out of this browser at once. {told}.",
        "Session-bound tokens die with it; refresh tokens with offline access stay. To end these too, use End everything on the person's page.",
        *not_told.sentences(not_told.in_session(session), Initiator.SESSION_REVOKED, whole_user=False),
    ]


def do_end(request: HttpRequest, session: SSOSession, at: datetime, form: forms.Form | None) -> str:
    ended = end_sessions(
        Selection.session(session.pk),
        initiator=Initiator.SESSION_REVOKED,
        actor=actor_of(request),
        at=at,
        offline_tokens=False,
    )
    return "The session has ended." if ended.session_pks else "The session had ended already."


END = AdminAct(
    "end", "End this session", explain_end, do_end, offered=lambda session: session.ended_at is None, operates=True
)


@admin.register(SSOSession)
class SSOSessionAdmin(sessions.SSOSessionAdminBase):
    change_form_template = "admin/sessions_app/ssosession/change_form.html"

    def get_acts(self) -> Sequence[AdminAct]:
        return (reauthentication.SESSION, END)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if obj := kwargs.get("obj"):
            context["timeline"] = timeline(obj)
        return super().render_change_form(request, context, *args, **kwargs)
