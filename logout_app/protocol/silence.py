"""Why an application that took part in a session is not told of its end. The words are an administrator's.

They are written into the outbox in the statement that ends the session, so that a later change of the application cannot
change what happened. Which of them holds is said by each channel (`logout_app/delivery/channels/`).
"""

from __future__ import annotations

DISABLED = "the application is disabled"
NO_URL = "it has no logout URL"
NO_BROWSER = "it hears by its front channel only, and no browser showed the sign-out page"
NO_BROWSER_FOR_SAML = "it hears of logouts by a browser only, and none showed the sign-out page"
DELETED = "it had been deleted before"


def deaf(initiator: str) -> str:
    return f"it does not listen to {initiator}"
