"""The end of allauth's login flow: what leaves a session goes through the door."""

from __future__ import annotations

from django.contrib.auth.signals import user_logged_out
from django.http import HttpRequest
from django.utils import timezone

from idp.models import User
from idp.protocol.initiators import Initiator
from logout_app.browser import transactions
from logout_app.browser.sign_out import clear_browser
from logout_app.ending.end import Selection, end_sessions
from sessions_app.models import SSOSession
from sessions_app.session import binding
from sessions_app.signin.adapter import SignInAdapter


class AccountAdapter(SignInAdapter):
    """Named in settings as a string, so that sign-in below does not know the door above."""

    def login(self, request: HttpRequest, user: User) -> None:
        super().login(request, user)
        transactions.close_for_others(request, user, timezone.now())

    def logout(self, request: HttpRequest) -> None:
        """End the browser's session; without one only the flow's leftovers go."""
        session = binding.session_of(request)
        if session is not None:
            self.end_replaced_session(request, session)
            user_logged_out.send(type(session.user), request=request, user=session.user)
        clear_browser(request)

    def end_replaced_session(self, request: HttpRequest, session: SSOSession) -> None:
        """Its person left it, or somebody else signs in with this browser: its applications hear of it."""
        end_sessions(
            Selection.session(session.pk),
            initiator=Initiator.RP_LOGOUT,
            actor="user",
            at=timezone.now(),
            offline_tokens=False,
        )
