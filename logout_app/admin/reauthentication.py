"""*Require a new sign-in* for a person, a session or a connection: they prove again who they are, and nothing ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest

from idp.admin.support import AdminAct, actor_of
from idp.models import Connection, User
from logout_app.ending.end import Selection
from logout_app.reauthentication.require import require_reauthentication
from sessions_app.models import SSOSession

WHAT_IT_MEANS = (
    "The next application that is opened asks for the sign-in; until then nothing new is opened, and refresh tokens of these "
    "sessions wait. Applications that are open stay open until they ask us again; those with a reauthentication URL are told at once.",
    "Refresh tokens with offline access stay. To end sessions, use the act that signs out.",
)


def _act(
    whose: Callable[[Any], str], selection: Callable[[Any], Selection], offered: Callable[[Any], bool]
) -> AdminAct:
    def explain(obj: Any) -> Sequence[str]:
        return [
            f"{whose(obj)} must be proved again by who signed in: password or identity provider, and second factor.",
            *WHAT_IT_MEANS,
        ]

    def do(request: HttpRequest, obj: Any, at: datetime, form: forms.Form | None) -> str:
        stale = require_reauthentication(selection(obj), actor=actor_of(request), at=at)
        return f"{len(stale)} session{'s' * (len(stale) != 1)} must be proved again."

    return AdminAct("require-sign-in", "Require a new sign-in", explain, do, offered=offered, operates=True)


def _of_session(session: SSOSession) -> bool:
    return session.ended_at is None and not session.is_stale


def _of_user(user: User) -> bool:
    return SSOSession.objects.filter(user=user, ended_at=None).exists()


def _of_connection(connection: Connection) -> bool:
    return SSOSession.objects.filter(connection=connection, ended_at=None).exists()


SESSION = _act(lambda _: "This session", lambda session: Selection.session(session.pk), _of_session)
PERSON = _act(lambda user: f"Every session of {user}", lambda user: Selection.user(user.pk), _of_user)
CONNECTION = _act(
    lambda connection: f"Every session that began through {connection}",
    lambda connection: Selection.connection(connection.pk),
    _of_connection,
)
