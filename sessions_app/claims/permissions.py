"""What an access token says of its person, beside the claims of its format."""

from __future__ import annotations

from typing import Any

from idp.directory import entitlements
from idp.models import ResourceServer
from sessions_app.claims import issue
from sessions_app.claims.issue import ClaimSubject


def access_claims(subject: ClaimSubject, api: ResourceServer | None) -> dict[str, Any]:
    """In a JWT; an opaque token's introspection says the same. No statement where there is nothing to say."""
    told = issue.tell(subject, issue.ACCESS_TOKEN)
    if api and api.tells_permissions:
        told["permissions"] = entitlements.permissions_of(subject.user, api, subject.snapshot)
    return told
