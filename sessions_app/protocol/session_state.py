"""OpenID Connect Session Management 1.0: the value by which an application's page asks whether the sign-in still stands.

`static/js/check_session.js` computes the same in the browser; a test runs both on the same input.
"""

from __future__ import annotations

import base64
import hashlib

from idp.protocol import uris


def session_state(*, client_id: str, redirect_uri: str, browser_state: str, salt: str) -> str | None:
    """`{hash}.{salt}` (section 3.2), or None for a redirect URI that no web page has: a page asks, an app of a phone does not.

    The salt makes each value new, and nobody but the page of this client at this origin gets "unchanged" for it.
    """
    origin = uris.origin(redirect_uri)
    if not origin:
        return None
    hashed = hashlib.sha256(f"{client_id} {origin} {browser_state} {salt}".encode()).digest()
    return f"{base64.urlsafe_b64encode(hashed).rstrip(b'=').decode()}.{salt}"
