"""Every kind of second factor that a person may have, as allauth keeps it."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.mfa.webauthn.internal.auth import WebAuthn
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

from idp.models import User
from sessions_app.models import SSOSession


def give_all(user: User) -> Authenticator:
    """Authenticator app, a security key, recovery codes; returns the row of the key."""
    TOTP.activate(user, generate_totp_secret())
    RecoveryCodes.activate(user)
    key: Authenticator = WebAuthn.add(user, "Key ring", credential()).instance
    return key


def credential(host: str = "localhost") -> dict[str, Any]:
    """What a browser answers when a key is registered: WebAuthn Level 2, section 5.2.1, without attestation."""
    public = ES256.from_cryptography_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    id_ = secrets.token_bytes(16)
    data = AuthenticatorData.create(
        hashlib.sha256(host.encode()).digest(),
        AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV | AuthenticatorData.FLAG.AT,
        0,
        AttestedCredentialData.create(bytes(16), id_, public),
    )
    client = CollectedClientData.create("webauthn.create", secrets.token_bytes(32), f"http://{host}")
    return {
        "id": websafe_encode(id_),
        "rawId": websafe_encode(id_),
        "type": "public-key",
        "response": {
            "clientDataJSON": websafe_encode(client),
            "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
        },
        "clientExtensionResults": {"credProps": {"rk": False}},
    }


def proved_two(session: SSOSession) -> SSOSession:
    """This session, as after a password and a code."""
    now = timezone.now().isoformat()
    session.amr = [{"name": name, "timestamp": now} for name in ("pwd", "mfa", "otp")]
    session.save()
    return session
