"""How signing keys move: next -> active -> retiring -> gone, each when nobody can notice. Or all at once, when one was stolen."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from idp import signals
from idp.crypto import keys, lifetimes
from idp.crypto.keys import KeyDraft
from idp.http.requests import RequestFacts
from idp.models import Application, KeyStatus, ResourceServer, SigningKey, TokenFormat
from idp.tenants import configuration, profile, trail

MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class KeyMove:
    """What was done to a key: `published`, `active`, `retiring`, `gone` or `withdrawn`."""

    key: SigningKey
    act: str

    def __str__(self) -> str:
        return f"{self.key.algorithm} {self.key.kid} {self.act}"


@dataclass(frozen=True, slots=True)
class Mover:
    """Who wants it, for the audit trail."""

    actor: str = "system"
    facts: RequestFacts | None = None


SCHEDULE = Mover()


def rotate(now: datetime, *, force: bool = False, mover: Mover = SCHEDULE) -> list[KeyMove]:
    """Move every key to the state that its age asks for. With `force` successors are published however young the keys are; they
    sign when every cache knows them, by the next call then."""
    drafts = {algorithm: KeyDraft.make(algorithm) for algorithm in keys.ALGORITHMS if _wants(algorithm, now, force)}
    with transaction.atomic():
        trail.stored()  # of two that rotate at the same time the second finds what the first one did
        lifetimes.note(lifetimes.longest())
        moves = [
            move for algorithm in keys.ALGORITHMS for move in _turn(algorithm, now, drafts.get(algorithm), force=force)
        ]
        moves += _end_retired(now)
        _tell(moves, now, mover)
    return moves


def withdraw(now: datetime, algorithms: Collection[str], *, mover: Mover = SCHEDULE) -> list[KeyMove]:
    """Whatever is published of these algorithms is gone at once, and new keys sign that no cache knows: `fallout` says what it costs."""
    drafts = [KeyDraft.make(algorithm) for algorithm in dict.fromkeys(algorithms)]
    with transaction.atomic():
        trail.stored()
        moves = []
        for row in SigningKey.objects.filter(algorithm__in=algorithms).exclude(status=KeyStatus.GONE):
            row.retired_at = row.retired_at or now
            moves.append(_end(row, now, "withdrawn"))
        moves += [KeyMove(draft.begin(KeyStatus.ACTIVE, now), "active") for draft in drafts]
        _tell(moves, now, mover)
    return moves


def withdraw_retiring(now: datetime, kid: str, *, mover: Mover = SCHEDULE) -> KeyMove | None:
    """A key that signs no more is gone before its tokens have expired. None: it signs, will sign, or is gone."""
    with transaction.atomic():
        trail.stored()
        row = SigningKey.objects.filter(kid=kid, status=KeyStatus.RETIRING).first()
        if row is None:
            return None
        move = _end(row, now, "withdrawn")
        _tell([move], now, mover)
    return move


def fallout(algorithms: Collection[str]) -> list[str]:
    """What ends when keys of these algorithms are withdrawn, what goes on, and for how long thieves are still believed."""
    tenant = configuration.current().tenant
    chosen = [name for name in keys.ALGORITHMS if profile.signing_algorithm(name, tenant) in algorithms]
    applications = Application.objects.filter(enabled=True, id_token_signed_response_alg__in=chosen).count()
    apis = ResourceServer.objects.filter(signing_alg__in=chosen).exclude(token_dialect=TokenFormat.OPAQUE)
    minutes = f"{lifetimes.cached().total_seconds() / 60:g} min"
    return [
        f"Every published key of {', '.join(algorithms)} leaves the set now, and a new one signs that nobody has seen yet.",
        f"ID tokens that were signed by them are dead, also as hints: {applications} application{'s' * (applications != 1)} of today. "
        "Applications that verify an ID token only when somebody signs in notice nothing.",
        f"Access tokens in the form of a JWT end here at once, and at their API when its copy of the set ends: {_named([str(api) for api in apis])}.",
        f"Whoever has a copy of the set keeps it for {minutes} at most: until then it takes what a thief signs, and may refuse new "
        "tokens and sign-outs, which are sent again.",
        "Sessions, refresh tokens and opaque access tokens go on. If the thief may have used the key: end sessions as well.",
    ]


def _stand(algorithm: str) -> tuple[SigningKey | None, SigningKey | None]:
    """The key that signs, and the one that will."""
    rows = {row.status: row for row in SigningKey.objects.filter(algorithm=algorithm, status__in=["active", "next"])}
    return rows.get(KeyStatus.ACTIVE), rows.get(KeyStatus.NEXT)


def _wants(algorithm: str, now: datetime, force: bool) -> bool:
    """Whether a new key is needed, so that it is made before anybody is kept waiting."""
    current, coming = _stand(algorithm)
    return current is None or (coming is None and (force or lifetimes.ages(current) <= now))


def _turn(algorithm: str, now: datetime, draft: KeyDraft | None, *, force: bool) -> list[KeyMove]:
    current, coming = _stand(algorithm)
    if current is None:
        return [KeyMove(draft.begin(KeyStatus.ACTIVE, now), "active")] if draft else []
    if coming is None:
        due = force or lifetimes.ages(current) <= now
        return [KeyMove(draft.begin(KeyStatus.NEXT, now), "published")] if draft and due else []
    if lifetimes.signs_from(coming) > now:
        return []  # a copy of the set may not have it yet
    current.status, current.retired_at = KeyStatus.RETIRING, now
    current.save()
    coming.status, coming.activated_at, coming.longest_token = KeyStatus.ACTIVE, now, lifetimes.longest()
    coming.save()
    return [KeyMove(coming, "active"), KeyMove(current, "retiring")]


def _end_retired(now: datetime) -> Iterator[KeyMove]:
    for row in SigningKey.objects.filter(status=KeyStatus.RETIRING):
        until = lifetimes.published_until(row)
        if until is not None and until <= now:
            yield _end(row, now, "gone")


def _end(row: SigningKey, now: datetime, act: str) -> KeyMove:
    """The private half goes for good; the public one tells later what was signed by it."""
    row.status, row.gone_at, row.sealed_private_key = KeyStatus.GONE, now, ""
    row.save()
    return KeyMove(row, act)


def _tell(moves: list[KeyMove], at: datetime, mover: Mover) -> None:
    for move in moves:
        signals.signing_key_moved.send(
            SigningKey, key=move.key, act=move.act, actor=mover.actor, at=at, facts=mover.facts
        )


def _named(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMES]) + (" and others" if len(names) > MOST_NAMES else "") or "there is none"
