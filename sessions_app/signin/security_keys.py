"""What browsers say for security keys and passkeys (WebAuthn Level 3), checked by the package beneath and by more than it asks.

The relying party is the issuer: its host is the RP ID, and its origin the only one that counts. fido2 would take subdomains
of it too, other ports of localhost, and frames on other sites.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from allauth.mfa.adapter import get_adapter as mfa_adapter
from allauth.mfa.models import Authenticator
from cryptography.exceptions import InvalidSignature
from django.conf import settings
from django.db import transaction
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorData,
    CollectedClientData,
    PublicKeyCredentialRpEntity,
    RegistrationResponse,
)

from idp.protocol import strict_json

T = TypeVar("T")
COUNTED = "sign_count"  # in the row's data: the last counter, if the key has one
LONGEST_NAME = 100
LONGEST = 30_000  # characters of an answer; a registration with a chain of certificates has a few thousand


class NotProved(Exception):
    """The answer proves nothing; the reason is for the audit trail."""


def server() -> Fido2Server:
    party = PublicKeyCredentialRpEntity(**mfa_adapter().get_public_key_credential_rp_entity())
    return Fido2Server(party, verify_origin=lambda origin: origin == settings.ISSUER_ORIGIN)


def understood(read: Callable[[], T]) -> T:
    """A credential that is no credential, or whose signature is wrong, is a wrong one: the packages beneath raise what they meet."""
    try:
        return read()
    except (
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
        struct.error,
        InvalidSignature,
    ) as error:
        raise NotProved(f"{type(error).__name__}: {error}"[:200]) from None


def read(text: str) -> Any:
    """The JSON of an answer; None for what is none, which proves nothing."""
    if len(text) > LONGEST:
        return None
    try:
        return strict_json.parse(text)
    except ValueError:
        return None


def asserted(given: Any) -> AuthenticationResponse:
    """What a browser answers when somebody proves that they hold a key. Raises NotProved."""
    response: AuthenticationResponse = understood(lambda: AuthenticationResponse.from_dict(_object(given)))
    _refuse_frames(response.response.client_data)
    return response


def registered(given: Any) -> RegistrationResponse:
    """What a browser answers when a key is made. Raises NotProved."""
    response: RegistrationResponse = understood(lambda: RegistrationResponse.from_dict(_object(given)))
    _refuse_frames(response.response.client_data)
    return response


def _object(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):  # of None the package makes None
        raise TypeError("it is no JSON object")
    return given


def _refuse_frames(client: CollectedClientData) -> None:
    if client.origin != settings.ISSUER_ORIGIN:
        raise NotProved("the origin is not ours")
    if client.cross_origin:
        raise NotProved("it was asked for in a frame of another site")


def stored(key: Authenticator) -> AuthenticatorData:
    """What the key said when it was registered. Raises NotProved for a row that holds no registration."""
    data: AuthenticatorData = understood(lambda: key.wrap().authenticator_data)
    return data


def credential_of(key: Authenticator) -> AttestedCredentialData:
    credential: AttestedCredentialData | None = stored(key).credential_data
    if credential is None:
        raise NotProved("the registration has no key")
    return credential


def of_credential(keys: list[Authenticator], credential_id: bytes) -> Authenticator | None:
    """Raises NotProved for a row that holds no key."""
    for key in keys:
        if credential_of(key).credential_id == credential_id:
            return key
    return None


def count_use(key: Authenticator, counter: int, at: datetime) -> Authenticator:
    """The key was used; its row as it is now, which nobody else changes until the transaction ends. Raises NotProved if its counter did not grow: there may be a copy of it (section 6.1.1).

    Synced passkeys have no counter, and always say 0.
    """
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().filter(pk=key.pk).first()
        if row is None:
            raise NotProved("the key was removed meanwhile")
        last = row.data.get(COUNTED, stored(row).counter)
        if (counter or last) and counter <= last:
            raise NotProved(f"the counter went from {last} to {counter}: there may be a copy of the key")
        row.data[COUNTED], row.last_used_at = counter, at
        row.save(update_fields=["data", "last_used_at"])
    return row


def valid(read: Callable[[], T], given: Any) -> T:
    """What a form of a new key reads. Raises ValidationError, as allauth does."""
    try:
        if given:
            registered(given)
        return understood(read)
    except NotProved:
        raise mfa_adapter().validation_error("incorrect_code") from None


def checked(check: Callable[[], Authenticator], given: Any, at: datetime) -> Authenticator:
    """The key, if allauth's check and ours have nothing against what it said. Raises ValidationError, as allauth does."""
    try:
        response = asserted(given)
        key = understood(check)
        count_use(key, response.response.authenticator_data.counter, at)
    except NotProved:
        raise mfa_adapter().validation_error("incorrect_code") from None
    return key
