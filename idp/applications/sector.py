"""What stands at a sector_identifier_uri: every redirect URI of the application (OpenID Connect Registration 1.0 section 5).

Asked when a stranger registers. An administrator vouches for the sector with the rest of the application.
"""

from __future__ import annotations

import requests

from idp.outbound import gate, web
from idp.protocol import strict_json
from idp.protocol.errors import TemporarilyUnavailable
from idp.protocol.registration import ClientMetadata, InvalidClientMetadata

LARGEST = 100_000  # bytes


def check(metadata: ClientMetadata) -> None:
    """Waits for somebody else's server: outside of transactions. Raises InvalidClientMetadata or TemporarilyUnavailable."""
    if not metadata.sector_identifier_uri:
        return
    try:
        with gate.place():
            listed = _listed(metadata.sector_identifier_uri)
    except gate.NoPlace:
        raise TemporarilyUnavailable("The sector_identifier_uri cannot be asked at the moment.") from None
    except (requests.RequestException, ValueError) as error:
        raise _refused("cannot be read as a JSON array of redirect URIs", str(error)) from None
    if missing := [uri for uri in metadata.redirect_uris if uri not in listed]:
        raise _refused(f"does not list {missing[0]}")


def _listed(uri: str) -> list[str]:
    with web.session(body_limit=LARGEST) as client:
        answer = client.get(uri)
    listed = strict_json.parse(answer.content) if answer.status_code == 200 else None
    if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
        raise ValueError(f"{uri} answered {answer.status_code}")
    return listed


def _refused(reason: str, detail: str = "") -> InvalidClientMetadata:
    return InvalidClientMetadata(f"sector_identifier_uri: it {reason}.", detail=detail)
