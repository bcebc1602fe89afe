"""The application's own sessions, in memory. Each remembers the `sid` and `sub` it came from, so that a logout token finds it."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

PENDING_SECONDS = 600
REMEMBER_SECONDS = 600  # longer than a logout token lives


@dataclass
class Session:
    claims: dict[str, Any]
    id_token: str
    refresh_token: str | None
    began_at: float = field(default_factory=time.time)
    refreshed_at: float | None = None
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @property
    def sid(self) -> str:
        return str(self.claims.get("sid", ""))

    @property
    def sub(self) -> str:
        return str(self.claims["sub"])


@dataclass
class Pending:
    """A sign-in on its way: what must come back, and the PKCE verifier; or `request`, the id of what was asked by SAML."""

    state: str
    nonce: str
    verifier: str
    at: float = field(default_factory=time.time)
    request: str = ""


class Store:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._pending: dict[str, Pending] = {}
        self._seen: dict[str, float] = {}

    def begin(self) -> tuple[str, Pending]:
        """A new sign-in and the cookie value that ties it to this browser."""
        pending = Pending(*(secrets.token_urlsafe(24) for _ in range(2)), secrets.token_urlsafe(48))
        key = secrets.token_urlsafe(24)
        with self._lock:
            oldest = time.time() - PENDING_SECONDS
            self._pending = {k: p for k, p in self._pending.items() if p.at > oldest} | {key: pending}
        return key, pending

    def finish(self, key: str) -> Pending | None:
        with self._lock:
            return self._pending.pop(key, None)

    def open(self, session: Session) -> str:
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._sessions[key] = session
        return key

    def get(self, key: str) -> Session | None:
        with self._lock:
            return self._sessions.get(key)

    def close(self, key: str) -> None:
        with self._lock:
            self._sessions.pop(key, None)

    def end(self, *, sid: str = "", sub: str = "") -> int:
        """End the sessions of one `sid`, or without it all of the person's; how many that were."""
        with self._lock:
            gone = [k for k, s in self._sessions.items() if (s.sid == sid if sid else s.sub == sub)]
            for key in gone:
                del self._sessions[key]
        return len(gone)

    def first_time(self, jti: str) -> bool:
        """False for a logout token that was here before."""
        now = time.time()
        with self._lock:
            self._seen = {j: at for j, at in self._seen.items() if at > now - REMEMBER_SECONDS}
            if jti in self._seen:
                return False
            self._seen[jti] = now
        return True
