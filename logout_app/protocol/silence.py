"""Why an application that took part in a session is not told of its end. The words are an administrator's.

They are written into the outbox in the statement that ends the session (`fanout.WHY`, which says in SQL what `why()` says
here), so that a later change of the application cannot change what happened.
"""

from __future__ import annotations

from typing import Protocol

DISABLED = "the application is disabled"
NO_URL = "it has no logout URL"
NO_BROWSER = "it hears by its front channel only, and no browser showed the sign-out page"
DELETED = "it had been deleted before"


class Listener(Protocol):
    """What counts of an application."""

    enabled: bool
    backchannel_logout_uri: str
    frontchannel_logout_uri: str
    global_token_revocation_uri: str

    def hears_of(self, initiator: str) -> bool: ...


def deaf(initiator: str) -> str:
    return f"it does not listen to {initiator}"


def why(application: Listener, initiator: str, *, page: bool, whole_user: bool) -> str:
    """The reason, or "" if it is told by any channel. `page`: a browser shows the sign-out page of this very session;
    `whole_user`: everything of the person ends, so revocation requests are sent."""
    if not application.enabled:
        return DISABLED
    if application.backchannel_logout_uri and application.hears_of(initiator):
        return ""
    if (page and application.frontchannel_logout_uri) or (whole_user and application.global_token_revocation_uri):
        return ""
    if application.backchannel_logout_uri:
        return deaf(initiator)
    return NO_BROWSER if application.frontchannel_logout_uri else NO_URL
