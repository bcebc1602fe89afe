"""The words in which it is said what a client may be: RFC 7591 section 2, OpenID Connect Registration 1.0 section 2."""

from __future__ import annotations

NONE = "none"
SECRET_POST = "client_secret_post"
SECRET_BASIC = "client_secret_basic"
PRIVATE_KEY_JWT = "private_key_jwt"
AUTH_METHODS = (NONE, SECRET_BASIC, SECRET_POST, PRIVATE_KEY_JWT)
SECRET_METHODS = frozenset({SECRET_POST, SECRET_BASIC})  # one method for us: SDKs pick either
SIGNING_ALGORITHMS = ("RS256", "ES256")  # of what we sign for clients
