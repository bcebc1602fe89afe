"""OpenID Connect Front-Channel Logout 1.0: the address of an application's frame."""

from __future__ import annotations

from urllib.parse import quote

from idp.protocol import uris
from logout_app.protocol import redirects


def frame_url(uri: str, *, issuer: str, sid: str, session_required: bool) -> str:
    """The registered URI, with `iss` and `sid` if the application requires them: both or neither (section 2)."""
    if not session_required:
        return uri
    joint = "" if uri.endswith(("?", "&")) else "&" if "?" in uri else "?"
    return f"{uri}{joint}iss={quote(issuer, safe='')}&sid={quote(sid, safe='')}"


def frame_origin(uri: str, *, issuer_origin: str) -> str:
    """The origin for frame-src, built from parsed parts only; "" if the URI must not be framed.

    Refused: scripts and other schemes, fragments, whatever a header would read as more than one source, our own origin
    (with allow-same-origin it would not be in a sandbox at all), and http on an https page (browsers block it).
    """
    target = redirects.parse(uri)
    if target is None or target.scheme not in ("http", "https") or "#" in uri or "*" in target.host:
        return ""
    # As browsers write it, without a default port: messages from the frame are compared with it, and so is our own.
    origin = uris.origin(uri)
    if not _plain(uri) or origin == uris.origin(issuer_origin):
        return ""
    return "" if issuer_origin.startswith("https:") and target.scheme == "http" else origin


def _plain(uri: str) -> bool:
    return not any(character in uri for character in ";,'\"")
