"""A client that proves who it is by signed assertions, and the server where its keys are."""

import json
import uuid
from http.server import BaseHTTPRequestHandler

from django.utils import timezone
from joserfc import jws

from tests.support.oauth import code_for, exchange, issuer


def assertion(key, **changes):
    now = int(timezone.now().timestamp())
    claims = {
        "iss": "keyed",
        "sub": "keyed",
        "aud": f"{issuer()}oauth/token",
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid.uuid4()),
    } | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jws.serialize_compact({"alg": "ES256", "kid": "k1"}, json.dumps(claims).encode(), key)


def by_assertion(keyed, session, raw):
    return exchange(
        keyed,
        code_for(session, keyed),
        client_id=None,
        client_secret=None,
        client_assertion=raw,
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    )


class Keys(BaseHTTPRequestHandler):
    """An application's jwks_uri."""

    document: bytes = b""
    asked: int = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(200 if self.path == "/jwks" else 404)
        self.send_header("Content-Length", str(len(self.document)))
        self.end_headers()
        self.wfile.write(self.document)

    def log_message(self, *args):
        """Quiet."""
