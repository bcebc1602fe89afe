"""Messages of ours: their ids and times, and how they travel (SAML bindings sections 3.4 and 3.5)."""

from __future__ import annotations

import base64
import secrets
import zlib
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from onelogin.saml2.utils import OneLogin_Saml2_Utils

from idp.saml.own_key import SIGNATURE_METHOD, OwnKey


def new_id() -> str:
    """An xs:ID, which must not begin with a digit: 160 random bits, as SAML core section 1.3.4 asks for at least 128."""
    return f"_{secrets.token_hex(20)}"


def timestamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def redirect_url(endpoint: str, name: str, message: bytes, state: str, key: OwnKey | None) -> str:
    """HTTP-Redirect; the signature is over exactly the characters of the query that the browser carries."""
    deflated = zlib.compress(message, 9)[2:-4]  # without zlib's header and checksum
    query = f"{name}={_quoted(base64.b64encode(deflated))}"
    if state:
        query += f"&RelayState={_quoted(state)}"
    if key is not None:
        query += f"&SigAlg={_quoted(SIGNATURE_METHOD)}"
        query += f"&Signature={_quoted(base64.b64encode(key.sign(query.encode())))}"
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"


def post_fields(name: str, message: bytes, state: str, key: OwnKey | None) -> tuple[tuple[str, str], ...]:
    """HTTP-POST; the signature is inside of the message."""
    if key is not None:
        message = OneLogin_Saml2_Utils.add_sign(message, key.private_pem, key.certificate_pem)
    fields = ((name, base64.b64encode(message).decode()),)
    return (*fields, ("RelayState", state)) if state else fields


def _quoted(value: str | bytes) -> str:
    return quote(value, safe="")
