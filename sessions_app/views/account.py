"""allauth's account pages as we mount them. Its login, logout, signup and e-mail pages are not mounted."""

from __future__ import annotations

from allauth.account import views


class PasswordResetFromKeyView(views.PasswordResetFromKeyView):
    def logout(self) -> None:
        """allauth signs out whoever opens somebody else's link by GET: a picture on another site could do that."""


password_reset = views.password_reset
password_reset_done = views.password_reset_done
password_reset_from_key = PasswordResetFromKeyView.as_view()
password_reset_from_key_done = views.password_reset_from_key_done
password_change = views.password_change
reauthenticate = views.reauthenticate
inactive = views.account_inactive
