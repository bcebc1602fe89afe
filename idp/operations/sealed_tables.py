"""Which tables of this app hold envelopes (`idp.crypto.sealed`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db.models.functions import Substr
from django.utils import timezone

from idp.connections.options import secret_context
from idp.crypto import keys, sealed, sealing
from idp.crypto.sealed import Envelopes, SealedStore
from idp.models import Connection, KeyStatus, SamlKey, SigningKey, User
from idp.people import imported_hashes
from idp.saml import own_key

_BEFORE = f"{imported_hashes.ImportedHasher.algorithm}$"
_ENVELOPE = f"{_BEFORE}{sealing.VERSION}."


def _options(row: Connection) -> Envelopes:
    return {
        name: (envelope, secret_context(row.name, name)) for name, envelope in row.sealed_options.items() if envelope
    }


def _with_options(row: Connection, envelopes: Mapping[str, str]) -> dict[str, Any]:
    return {"sealed_options": row.sealed_options | envelopes}


def _without_options(row: Connection, names: Collection[str]) -> dict[str, Any]:
    return {"sealed_options": {name: value for name, value in row.sealed_options.items() if name not in names}}


def _hash(row: User) -> Envelopes:
    return {"password": (row.password.removeprefix(_BEFORE), imported_hashes.CONTEXT)}


def _with_hash(row: User, envelopes: Mapping[str, str]) -> dict[str, Any]:
    return {"password": f"{_BEFORE}{envelopes['password']}"}


def _signing(row: SigningKey) -> Envelopes:
    return {"sealed_private_key": (row.sealed_private_key, keys.place(row.kid))}


def _saml(row: SamlKey) -> Envelopes:
    return {"sealed_private_key": (row.sealed_private_key, own_key.place(row.certificate))}


def _as_they_are(row: Any, envelopes: Mapping[str, str]) -> dict[str, Any]:
    return dict(envelopes)


def _gone(_row: SigningKey, _names: Collection[str]) -> dict[str, Any]:
    return {"sealed_private_key": "", "status": KeyStatus.GONE, "gone_at": timezone.now()}


def _no_row(_row: SamlKey, _names: Collection[str]) -> None:
    """Another one is made at first need."""


def _no_password(_row: User, _names: Collection[str]) -> dict[str, Any]:
    return {"password": make_password(None)}


sealed.register(
    SealedStore(
        "signing keys",
        lambda: SigningKey.objects.exclude(status=KeyStatus.GONE),
        _signing,
        _as_they_are,
        _gone,
    ),
    SealedStore("SAML keys", SamlKey.objects.all, _saml, _as_they_are, _no_row),
    SealedStore(
        "secrets of connections",
        lambda: Connection.objects.exclude(sealed_options={}),
        _options,
        _with_options,
        _without_options,
    ),
    SealedStore(
        "hashes of passwords that were imported",
        lambda: User.objects.filter(password__startswith=_ENVELOPE),
        _hash,
        _with_hash,
        _no_password,
        text=Substr("password", len(_BEFORE) + 1),
    ),
)
