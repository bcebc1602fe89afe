"""What `doctor` says of CURFEW_ENCRYPTION_KEYS: which are missing, what older ones still seal, and which can be taken out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from idp.crypto import sealed, sealing
from sessions_app.audit import chain


def missing() -> list[str]:
    """Sentences; none if all is there."""
    return sealed.sentences(sealed.missing()) + [
        f"Lines of the audit trail up to {newest:%Y-%m-%d %H:%M} UTC cannot be verified: their key is not in CURFEW_ENCRYPTION_KEYS."
        for key_id, newest in chain.keys_in_use().items()
        if key_id not in sealing.digest_keys(chain.PURPOSE)
    ]


def old_ones() -> list[str]:
    """What has to be sealed anew before an older key can go."""
    return [
        f"The key {key_id}, which is not the first of CURFEW_ENCRYPTION_KEYS, still seals {sealed.words(tables)}: run manage.py reseal."
        for key_id, tables in sealed.waiting().items()
    ]


def verdict() -> str:
    """Of a list of which nothing is missing and whose first key seals everything."""
    ids = sealing.key_ids()
    if len(ids) == 1:
        return "There is one encryption key, and it seals everything."
    return " ".join(["The first encryption key seals everything.", *_spare(ids)])


def _spare(ids: list[str]) -> Iterator[str]:
    used = chain.keys_in_use()
    for key_id, digest_id in list(zip(ids, sealing.digest_keys(chain.PURPOSE), strict=True))[1:]:
        newest: datetime | None = used.get(digest_id)
        yield (
            f"{key_id} is needed only to verify the audit trail up to {newest:%Y-%m-%d %H:%M} UTC."
            if newest
            else f"{key_id} may be taken out a day after manage.py reseal."
        )
