"""What every protocol that signs people in elsewhere is given, and what it gives back. Protocols open nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.utils.translation import gettext, gettext_noop

from idp.models import Connection
from idp.protocol.params import Params


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """What the application asked of the sign-in, as far as an identity provider upstream can be asked for it."""

    login_hint: str = ""
    force: bool = False  # the person must prove anew who they are: `prompt=login`, ForceAuthn
    max_age: int | None = None  # seconds
    select_account: bool = False
    ui_locales: str = ""
    acr_values: str = ""
    two_factors: bool = False  # somebody wants them; asked for where the connection trusts what comes back


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser goes: a redirect to `url`, or a form with `fields` that is posted there.

    `flow_data` is what the answer will be checked against (nonce, PKCE verifier, request id): JSON, kept on our side only.
    """

    url: str
    fields: tuple[tuple[str, str], ...] = ()
    flow_data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """A person as the identity provider upstream vouched for them, verified to the last signature."""

    sub: str
    email: str = ""
    email_verified: bool = False
    email_denied: bool = False  # the upstream says itself that it did not check the address
    profile: Mapping[str, Any] = field(default_factory=dict)  # OpenID claims, and `groups` where there are any
    auth_time: datetime | None = None  # when the upstream says that they proved who they are
    expires_at: datetime | None = None  # when the upstream's session ends, if ours must not outlive it
    upstream_sid: str = ""  # `sid` or SessionIndex, by which the upstream will name the session when it ends
    upstream: Mapping[str, Any] = field(default_factory=dict)  # what logout upstream needs; JSON, secrets sealed
    has_proved_several: bool = False  # two factors or more there, and the connection trusts what it says of that


class RedirectProtocol(Protocol):
    """A connection whose sign-in happens on pages of the identity provider upstream."""

    def depart(
        self, connection: Connection, asked: SignInRequest, *, state: str, callback: str, at: datetime
    ) -> Departure:
        """Begin a sign-in. `state` travels (state, RelayState); `callback` is the absolute URL that the answer comes to.

        Raises UpstreamFault when the upstream cannot be reached or the connection is not configured.
        """
        ...

    def arrive(
        self,
        connection: Connection,
        flow_data: Mapping[str, Any] | None,
        answer: Params,
        *,
        callback: str,
        at: datetime,
    ) -> Account:
        """The account that the upstream's answer proves. `flow_data` is None when nobody asked for it (IdP-initiated).

        Raises UpstreamRefused when the upstream said no, UpstreamFault when the answer proves nothing.
        """
        ...


@dataclass(frozen=True, slots=True)
class LogoutSubject:
    """Whose session upstream is to end: what the sign-in there left with ours."""

    sub: str
    email: str
    upstream_sid: str
    upstream: Mapping[str, Any]  # `Account.upstream` of the sign-in


class LogoutProtocol(Protocol):
    """A connection whose identity provider upstream can be told, through the browser, that its session ends too."""

    def can_logout(self, connection: Connection, subject: LogoutSubject) -> bool:
        """Whether there is a way to sign out upstream. Asks nobody: a page shows its answer."""
        ...

    def begin_logout(
        self, connection: Connection, subject: LogoutSubject, *, state: str, callback: str, at: datetime
    ) -> Departure:
        """Begin to sign out upstream. The browser is to come back to `callback` with `state`, if the upstream can send it.

        Raises UpstreamFault when it cannot be asked.
        """
        ...

    def check_logout(
        self, connection: Connection, flow_data: Mapping[str, Any], query: str, answer: Params, *, at: datetime
    ) -> None:
        """Check what the browser came back with. `query` is the raw query string, which the redirect binding signs.

        Raises UpstreamRefused when the upstream did not sign the person out, UpstreamFault when the answer proves nothing.
        """
        ...


class UpstreamRefused(Exception):
    """The identity provider upstream answered, and the answer is no. `sentence` is for the person.

    `error` is what an application is told when the refusal must reach it (OpenID Connect Core section 3.1.2.6).
    """

    def __init__(self, sentence: str, *, error: str = "access_denied", detail: str = "") -> None:
        super().__init__(detail or sentence)
        self.sentence = sentence
        self.error = error
        self.detail = detail or sentence


class UpstreamUnmet(UpstreamRefused):
    """It cannot prove as much of the person as it was asked for; less, perhaps."""


class UpstreamFault(Exception):
    """Something is wrong between the upstream and us: down, slow, misconfigured, or an answer that proves nothing.

    `reason` is one sentence for the administrator and the log; the person learns no more than `sentence`. `status` is that of
    the page: 502 and 504 where a server upstream did not answer, 0 to leave it to the view (400 for an answer that proves nothing).
    `silent`: there was no answer at all. `reference`: what an administrator finds it by, once it is recorded.
    """

    sentence = gettext_noop(
        "Signing in there does not work at the moment. Please try again, or use another way to sign in."
    )

    def __init__(self, reason: str, sentence: str = "", *, status: int = 0, silent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.silent = silent
        self.reference = ""
        self.sentence = sentence or self.sentence
        self.status = status

    @property
    def told(self) -> str:
        """For the person, with the reference that their administrator will ask for."""
        said = gettext(self.sentence)
        if not self.reference:
            return said
        return gettext("%(sentence)s Reference: %(reference)s") % {"sentence": said, "reference": self.reference}
