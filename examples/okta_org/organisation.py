"""The organisation: its people, the applications they are assigned to, and who is signed in. All of it in memory."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field

CODE_SECONDS = 60
TOKEN_SECONDS = 3600


@dataclass(frozen=True)
class Person:
    id: str  # Okta's user ids begin with 00u
    name: str
    email: str
    assigned: bool = True  # to the application; who is not cannot sign in to it

    @property
    def initial(self) -> str:
        return self.name[0]


PEOPLE = (
    Person("00uann7ames1acme5d7", "Ann Ames", "ann@acme.example"),
    Person("00uben3brown8acme5d7", "Ben Brown", "ben@acme.example"),
    Person("00ucleo2clark9acme5d7", "Cleo Clark", "cleo@acme.example", assigned=False),
)


@dataclass(frozen=True)
class Application:
    """Curfew, as Okta's administrator entered it: an OpenID Connect application with Universal Logout."""

    client_id: str
    client_secret: str
    redirect_uri: str
    logout_redirect_uri: str
    revocation_url: str


@dataclass(frozen=True)
class Session:
    person: Person
    auth_time: int
    sid: str = field(default_factory=lambda: f"102{secrets.token_urlsafe(16)}")


@dataclass(frozen=True)
class Code:
    session: Session
    redirect_uri: str
    nonce: str
    challenge: str
    scope: str
    expires_at: float


class Organisation:
    def __init__(self, name: str, people: tuple[Person, ...] = PEOPLE) -> None:
        self.name, self.people = name, people
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._codes: dict[str, Code] = {}
        self._tokens: dict[str, tuple[Session, float]] = {}
        self._log: list[tuple[float, str, str]] = []
        self._deactivated: set[str] = set()

    def person(self, person_id: str) -> Person | None:
        return next((person for person in self.people if person.id == person_id), None)

    # --- lifecycle ---------------------------------------------------------------------------------------------------

    def is_active(self, person: Person) -> bool:
        with self._lock:
            return person.id not in self._deactivated

    def deactivate(self, person: Person) -> None:
        with self._lock:
            self._deactivated.add(person.id)
        self.note("user.lifecycle.deactivate", person.email)
        self.clear(person)

    def activate(self, person: Person) -> None:
        with self._lock:
            self._deactivated.discard(person.id)
        self.note("user.lifecycle.activate", person.email)

    # --- sessions ----------------------------------------------------------------------------------------------------

    def sign_in(self, person: Person) -> tuple[str, Session]:
        """A new session and the value of its cookie."""
        cookie, session = secrets.token_urlsafe(24), Session(person, int(time.time()))
        with self._lock:
            self._sessions[cookie] = session
        self.note("user.session.start", person.email)
        return cookie, session

    def session(self, cookie: str) -> Session | None:
        with self._lock:
            return self._sessions.get(cookie)

    def sign_out(self, cookie: str) -> None:
        with self._lock:
            session = self._sessions.pop(cookie, None)
        if session:
            self.note("user.session.end", session.person.email)

    def clear(self, person: Person) -> int:
        """End every session of the person here, with its codes and tokens; how many sessions that were."""
        with self._lock:
            gone = [key for key, session in self._sessions.items() if session.person == person]
            for key in gone:
                del self._sessions[key]
            self._codes = {key: code for key, code in self._codes.items() if code.session.person != person}
            self._tokens = {key: kept for key, kept in self._tokens.items() if kept[0].person != person}
        self.note("user.session.clear", person.email)
        return len(gone)

    def sessions_of(self, person: Person) -> int:
        with self._lock:
            return sum(session.person == person for session in self._sessions.values())

    # --- codes and access tokens -------------------------------------------------------------------------------------

    def issue_code(self, session: Session, *, redirect_uri: str, nonce: str, challenge: str, scope: str) -> str:
        code = secrets.token_urlsafe(24)
        with self._lock:
            self._codes[code] = Code(session, redirect_uri, nonce, challenge, scope, time.time() + CODE_SECONDS)
        return code

    def use_code(self, code: str) -> Code | None:
        """The code's facts, once, while it is fresh."""
        with self._lock:
            found = self._codes.pop(code, None)
        return found if found and time.time() < found.expires_at else None

    def issue_access_token(self, session: Session) -> str:
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._tokens[token] = (session, time.time() + TOKEN_SECONDS)
        return token

    def holder(self, token: str) -> Person | None:
        with self._lock:
            session, expires_at = self._tokens.get(token, (None, 0.0))
        return session.person if session and time.time() < expires_at else None

    # --- the system log ----------------------------------------------------------------------------------------------

    def note(self, event: str, about: str) -> None:
        with self._lock:
            self._log.append((time.time(), event, about))

    def recent(self, count: int = 10) -> list[tuple[float, str, str]]:
        """The newest lines of the system log: time, event type, about whom or what."""
        with self._lock:
            return self._log[: -count - 1 : -1]
