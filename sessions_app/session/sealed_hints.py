"""What a session keeps sealed for the sign-out upstream: the ID token that it sends there as a hint (`idp.crypto.sealed`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models.fields.json import KeyTextTransform

from idp.connections.oidc import flow
from idp.crypto import sealed
from idp.crypto.sealed import Envelopes, SealedStore
from sessions_app.models import SSOSession

HINT = "id_token"


def _hint(row: SSOSession) -> Envelopes:
    envelope = row.upstream.get(HINT)
    return {HINT: (str(envelope), flow.hint_context(row.connection))} if envelope and row.connection else {}


def _with_hint(row: SSOSession, envelopes: Mapping[str, str]) -> dict[str, Any]:
    return {"upstream": row.upstream | envelopes}


sealed.register(
    SealedStore(
        "ID tokens of sessions for sign-outs upstream",
        lambda: SSOSession.objects.filter(upstream__has_key=HINT, connection__isnull=False).select_related(
            "connection"
        ),
        _hint,
        _with_hint,
        lambda row, names: {"upstream": {name: value for name, value in row.upstream.items() if name not in names}},
        essential=False,  # without it a provider asks its person whether to sign out
        text=KeyTextTransform(HINT, "upstream"),
    )
)
