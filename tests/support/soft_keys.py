"""A passkey in memory: what browsers send of one, byte for byte as WebAuthn Level 3 says (sections 5.8.1, 6.1 and 6.3.3)."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.test import Client
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from idp.models import User
from sessions_app.signin import passkeys

FLAG = AuthenticatorData.FLAG
VERIFIED = FLAG.UP | FLAG.UV


@dataclass
class SoftKey:
    """One credential. `counter` is what it says next; synced passkeys stay at 0 and have BE and BS."""

    user: User
    counter: int = 1
    is_synced: bool = False
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    @property
    def handle(self) -> bytes:
        return user_pk_to_url_str(self.user).encode()

    def registration(self, challenge: str, *, flags: int = VERIFIED, **said: Any) -> dict[str, Any]:
        public = ES256.from_cryptography_key(self.private.public_key())
        attested = AttestedCredentialData.create(bytes(16), self.id, public)
        data = self._data(flags | FLAG.AT, 0, attested)
        attestation = AttestationObject.create("none", data, {})
        return self._answer("webauthn.create", challenge, said, attestationObject=websafe_encode(attestation))

    def assertion(
        self, challenge: str, *, flags: int = VERIFIED, handle: bytes | None = None, rp_id: str = "", **said: Any
    ) -> dict[str, Any]:
        """`said` changes the client data, like its origin."""
        data = self._data(flags, self.counter, rp_id=rp_id)
        client = _client_data("webauthn.get", challenge, said)
        signature = self.private.sign(bytes(data) + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            "webauthn.get",
            challenge,
            said,
            authenticatorData=websafe_encode(data),
            signature=websafe_encode(signature),
            userHandle=websafe_encode(self.handle if handle is None else handle),
        )

    def _data(self, flags: int, counter: int, attested: bytes = b"", rp_id: str = "") -> AuthenticatorData:
        synced = FLAG.BE | FLAG.BS if self.is_synced else 0
        host = rp_id or settings.ISSUER_PARTS.hostname
        return AuthenticatorData.create(
            hashlib.sha256(host.encode()).digest(), FLAG(flags | synced), 0 if self.is_synced else counter, attested
        )

    def _answer(self, kind: str, challenge: str, said: dict[str, Any], **response: str) -> dict[str, Any]:
        return {
            "id": websafe_encode(self.id),
            "rawId": websafe_encode(self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {"clientDataJSON": websafe_encode(_client_data(kind, challenge, said)), **response},
        }


def _client_data(kind: str, challenge: str, said: dict[str, Any]) -> bytes:
    names = {"origin": settings.ISSUER_ORIGIN, **said}
    return bytes(CollectedClientData.create(type=names.pop("type", kind), challenge=websafe_decode(challenge), **names))


def give_passkey(user: User, **given: Any) -> SoftKey:
    """As the pages of enrolment keep it."""
    key = SoftKey(user, **given)
    credential = key.registration(websafe_encode(secrets.token_bytes(32)))
    data = {"name": "A passkey", "credential": credential, passkeys.MARK: True, "sign_count": 0}
    Authenticator.objects.create(user=user, type=Authenticator.Type.WEBAUTHN, data=data)
    return key


def challenge_for(client: Client) -> str:
    return str(client.get("/login/passkey").json()["challenge"])


def sign_in(client: Client, key: SoftKey, *, next: str = "", challenge: str = "", **said: Any) -> Any:
    """What the login page's script does; the answer to its POST, not followed."""
    answer = key.assertion(challenge or challenge_for(client), **said)
    return client.post("/login", {"credential": json.dumps(answer), "next": next})
