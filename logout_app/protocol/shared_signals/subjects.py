"""Whom an event is about: simple subjects (RFC 9493) and complex ones (Shared Signals Framework 1.0 section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idp.protocol.jwt_profile import LONGEST_TEXT, is_text
from logout_app.protocol.gtr import LONGEST_EMAIL, MOST_ALIASES, Subject
from logout_app.protocol.shared_signals.tokens import RefusedSignal

COMPLEX = "complex"
_MEMBERS: Mapping[str, tuple[str, ...]] = {"iss_sub": ("iss", "sub"), "email": ("email",), "opaque": ("id",)}
_PARTS = ("user", "session", "device", "application", "tenant", "org_unit", "group")
_OURS = frozenset({"user", "session"})
_LONGEST = 600
EVERY_SESSION = ("ALL",)  # Keycloak 26.7, when an administrator signs somebody out of everything: no id of a session


@dataclass(frozen=True, slots=True)
class SignalSubject:
    """`people` are names of one person, `sessions` of one session upstream; `others` what is named and nobody of ours can be.

    With `wants_session`, but no `sessions`, a session is named in a way that we cannot read.
    """

    people: tuple[Subject, ...] = ()
    sessions: tuple[Subject, ...] = ()
    wants_session: bool = False
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = [f"{subject.format}: {' '.join(subject.values)}" for subject in self.people]
        named += [f"session {subject.values[-1]}" for subject in self.sessions]
        return "; ".join([*named, *self.others])[:_LONGEST]


def read(value: Any) -> SignalSubject:
    """Whom a subject names. Raises RefusedSignal for one that breaks the rules of its format."""
    if value is None:
        raise RefusedSignal("sub_id is missing.")
    if not isinstance(value, dict):
        raise RefusedSignal("sub_id must be an object.")
    if not _is_complex(value):
        people = _simple(value)
        return SignalSubject(people, others=() if people else (str(_format(value))[:100],))
    parts = {name: part for name, part in value.items() if name != "format"}
    if not parts or not all(isinstance(part, dict) for part in parts.values()):
        raise RefusedSignal("A complex subject has members, each of which is a subject.")
    others = tuple(sorted(name[:50] for name in parts.keys() - _OURS))
    people = _simple(parts["user"]) if "user" in parts else ()
    sessions = _simple(parts["session"]) if "session" in parts else ()
    if people and [session.values for session in sessions] == [EVERY_SESSION]:
        return SignalSubject(people, others=others)
    return SignalSubject(people, sessions, "session" in parts, others)


def not_understood(subject: SignalSubject, critical: frozenset[str]) -> frozenset[str]:
    """Members that its transmitter calls critical and we cannot process: then the event must be discarded (section 3.5)."""
    unread = frozenset({"session"}) if subject.wants_session and not subject.sessions else frozenset()
    return critical & (frozenset(subject.others) | unread)


def _is_complex(value: Mapping[str, Any]) -> bool:
    """Okta leaves the format out."""
    if "format" in value or "subject_type" in value:
        return bool(value.get("format") == COMPLEX)
    return any(name in value for name in _PARTS)


def _format(value: Mapping[str, Any]) -> object:
    """RISC's drafts called it subject_type, and wrote iss-sub."""
    kind = value.get("format", value.get("subject_type"))
    return kind.replace("-", "_") if isinstance(kind, str) and "format" not in value else kind


def _simple(value: Mapping[str, Any]) -> tuple[Subject, ...]:
    """The names in it; none if its format is one that names nobody of ours."""
    kind = _format(value)
    if not is_text(kind, 100):
        raise RefusedSignal("A subject must say its format.")
    if kind != "aliases":
        return _one(kind, value)
    identifiers = value.get("identifiers")
    if not isinstance(identifiers, list) or not 0 < len(identifiers) <= MOST_ALIASES:
        raise RefusedSignal(f"aliases holds one to {MOST_ALIASES} identifiers.")
    if not all(isinstance(each, dict) and _format(each) != "aliases" for each in identifiers):
        raise RefusedSignal("aliases holds subjects, and no further aliases.")
    return tuple(found for each in identifiers for found in _simple(each))


def _one(kind: str, value: Mapping[str, Any]) -> tuple[Subject, ...]:
    if kind not in _MEMBERS:
        return ()
    names = _MEMBERS[kind]
    values = tuple(value.get(name) for name in names)
    longest = LONGEST_EMAIL if kind == "email" else LONGEST_TEXT
    texts = tuple(text for text in values if is_text(text, longest))
    if len(texts) != len(names):
        raise RefusedSignal(f"{' and '.join(names)} must be text of 1 to {longest} printable characters.")
    return (Subject(kind, texts),)
