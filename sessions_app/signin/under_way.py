"""A sign-in while one request carries it: what the acts know that allauth's flow, which hands on request and person, does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from idp.limits.limiter import Reservation
from idp.models import Identity
from idp.tenants.configuration import Snapshot
from sessions_app.signin.waiting import Waiting


@dataclass(frozen=True, slots=True)
class Proof:
    """What the flow session recorded of one sign-in. `at` is the first factor's moment: what was revoked since is dead.

    `password` is a keyed digest of the stored password that was proved, "" if none was: another password since ends it too.
    """

    identity_pk: int
    at: datetime
    password: str
    amr: list[dict[str, str]]
    upstream_sid: str
    upstream: dict[str, Any]
    passkey: int | None = None  # the key of the one that was proved, which must still be theirs


@dataclass(frozen=True, slots=True)
class Proved:
    """Who was proved, as one SELECT found them: the account, with its person and connection, and what opening a session needs."""

    identity: Identity
    proof: Proof
    snapshot: Snapshot  # the configuration of that moment
    stored_password: str | None  # the hash that was proved, which must still be theirs; None if no password was proved
    has_second_factor: bool
    open_sessions: int  # of this person, past their limits or not
    declined_passkey: bool = False  # they were asked, and did not want one

    @property
    def is_known_by_browser(self) -> bool:
        """Whether attempts are counted for this account, so that its browsers get a budget of their own."""
        return bool(self.identity.login) or self.has_second_factor


@dataclass(slots=True)
class SignInUnderWay:
    """`SSOSessionMiddleware` attaches one to each request, as `request.sign_in`; nothing is known at first.

    - `waiting` and `attempt` are known from `sign_in.by_password` on, before allauth's flow begins. A sign-in upstream, and
      a second factor, which comes with a request of its own, have neither.
    - `can_keep_passkey`: the login page's script says that this device can. Then `offers_passkey` is known with `proved`: the
      person is asked whether they want one before they go on, so that no code is written with the session.
    - `may_be_spared`: nobody asked for a proof of this very moment, or of two factors. `remembered_until` is known with
      `proved` then, if this browser is remembered instead of the person's second factor.
    - `attempt` is None again from when the session's write gave it back.
    - `proved` is known from the adapter's `pre_login` on, so that its `login` need not look again. It does look again in
      the request of a second factor: much may have changed while that was waited for.
    """

    waiting: Waiting | None = None
    can_keep_passkey: bool = False
    may_be_spared: bool = False
    remembered_until: datetime | None = None
    offers_passkey: bool = False
    attempt: Reservation | None = None
    proved: Proved | None = None


def sign_in_of(request: HttpRequest) -> SignInUnderWay:
    sign_in: SignInUnderWay = request.sign_in  # type: ignore[attr-defined]  # attached by the middleware
    return sign_in
