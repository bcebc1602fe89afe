"""id_token_hint at a logout endpoint: an ID token that came back. Its signature must be ours; its age does not matter."""

from __future__ import annotations

from idp.applications.subjects import subject_for
from idp.crypto import own_tokens
from idp.crypto.own_tokens import ID_TOKEN, KeyUnknown
from idp.protocol.errors import InvalidRequest
from idp.protocol.jwt_profile import Mismatch, audiences
from idp.tenants.configuration import Snapshot
from logout_app.protocol.rp_initiated_logout import Hint


def verify(token: str, snapshot: Snapshot) -> Hint | None:
    """The hint; None if its key is no longer published, so that nothing can be said about it.

    InvalidRequest for whatever is not an ID token of ours: `alg` none or HS256, another signer or issuer, a logout,
    access or revocation token. "it MUST validate that it was the issuer of the ID Token" (RP-Initiated Logout, 2).
    """
    try:
        claims = own_tokens.claims_of(ID_TOKEN, token, snapshot)
    except KeyUnknown:
        return None
    except (Mismatch, ValueError) as mismatch:
        raise _refused(f"it {mismatch}") from None
    clients, sid = audiences(claims), claims.get("sid", "")
    if not clients:
        raise _refused("it has no audience")
    if not isinstance(sid, str):
        raise _refused("its sid is no text")
    return Hint(clients, claims["sub"], sid)


def subject(user_id: str, hint: Hint | None, snapshot: Snapshot) -> str:
    """The person as the application of the hint knows them."""
    application = snapshot.application(hint.audience[0]) if hint else None
    return user_id if application is None else subject_for(user_id, application, snapshot)


def _refused(detail: str) -> InvalidRequest:
    return InvalidRequest("The id_token_hint is not a valid ID token of this service.", detail=detail)
