"""What the tables of this app, and allauth's, keep sealed (`idp.crypto.sealed`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from allauth.mfa.models import Authenticator
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce

from idp.connections.oidc import flow
from idp.crypto import sealed, sealing
from idp.crypto.sealed import Envelopes, SealedStore
from sessions_app.models import SSOSession
from sessions_app.signin import factors

HINT = "id_token"
SECRETS = ("secret", "seed")  # of an authenticator app, of recovery codes: a row has one of them
_BEGINS = f"{sealing.VERSION}."  # others were kept before such secrets were sealed


def _hint(row: SSOSession) -> Envelopes:
    envelope = row.upstream.get(HINT)
    return {HINT: (str(envelope), flow.hint_context(row.connection))} if envelope and row.connection else {}


def _with_hint(row: SSOSession, envelopes: Mapping[str, str]) -> dict[str, Any]:
    return {"upstream": row.upstream | envelopes}


def _without_hint(row: SSOSession, names: Collection[str]) -> dict[str, Any]:
    return {"upstream": {name: value for name, value in row.upstream.items() if name not in names}}


def _factor(row: Authenticator) -> Envelopes:
    kept = {name: row.data[name] for name in SECRETS if isinstance(row.data.get(name), str)}
    return {name: (text, factors.PLACE) for name, text in kept.items() if sealing.key_id_of(text)}


def _with_factor(row: Authenticator, envelopes: Mapping[str, str]) -> dict[str, Any]:
    return {"data": row.data | envelopes}


def _no_factor(_row: Authenticator, _names: Collection[str]) -> None:
    """Its person sets up another one."""


sealed.register(
    SealedStore(
        "authenticator apps and recovery codes",
        lambda: Authenticator.objects.filter(Q(data__secret__startswith=_BEGINS) | Q(data__seed__startswith=_BEGINS)),
        _factor,
        _with_factor,
        _no_factor,
        text=Coalesce(*(KeyTextTransform(name, "data") for name in SECRETS)),
    ),
    SealedStore(
        "ID tokens of sessions for sign-outs upstream",
        lambda: SSOSession.objects.filter(upstream__has_key=HINT, connection__isnull=False).select_related(
            "connection"
        ),
        _hint,
        _with_hint,
        _without_hint,
        essential=False,  # without it a provider asks its person whether to sign out
        text=KeyTextTransform(HINT, "upstream"),
    ),
)
