"""The words in which it is said what a client may be: RFC 7591 section 2, OpenID Connect Registration 1.0 section 2."""

from __future__ import annotations

NONE = "none"
SECRET_POST = "client_secret_post"
SECRET_BASIC = "client_secret_basic"
PRIVATE_KEY_JWT = "private_key_jwt"
AUTH_METHODS = (NONE, SECRET_BASIC, SECRET_POST, PRIVATE_KEY_JWT)
SECRET_METHODS = frozenset({SECRET_POST, SECRET_BASIC})  # one method for us: SDKs pick either
SIGNING_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")  # of what we sign for clients
STRONG_ALGORITHMS = ("PS256", "ES256", "EdDSA")  # FAPI 2.0 Security Profile section 5.4.1: RSA as PSS only
PUBLIC, PAIRWISE = "public", "pairwise"
SUBJECT_TYPES = (PUBLIC, PAIRWISE)  # OpenID Connect Core section 8
ENCRYPTION_ALGORITHMS = ("RSA-OAEP-256", "ECDH-ES")  # of ID tokens, RFC 7518 section 4
CONTENT_ENCRYPTION = ("A256GCM",)
