"""What a channel is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from idp.tenants.configuration import Snapshot
from logout_app.delivery.outbox import Claimed
from logout_app.protocol.retry import Answer, Decision, History


@dataclass(frozen=True, slots=True)
class Occasion:
    """What the planner knows of an act. `page`: a browser shows the sign-out page of this very session; `whole_user`:
    everything of the person ends."""

    page: bool = False
    whole_user: bool = False


class Listener(Protocol):
    """What counts of an application when an end is planned; the URLs by which it hears besides."""

    enabled: bool

    def hears_of(self, initiator: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Hearing:
    """Whether an application hears by a channel, and why not: in SQL, and the same in Python; a test compares them.

    SQL speaks of `application` and `joined` (its row of the session); values are those that every act has (`fanout`).
    """

    field: str  # the application's URL
    also: str = ""  # a further condition in SQL
    also_in_python: Callable[[Listener, str], bool] = lambda _application, _initiator: True
    silent: str = ""  # SQL: why an application that has the URL, and is told by no channel, is not told by this one
    silent_in_python: Callable[[str], str] = lambda _: ""  # the same, of the act's initiator

    @property
    def has_url(self) -> str:
        return f"application.{self.field} <> ''"

    @property
    def condition(self) -> str:
        return f"{self.has_url} AND {self.also}" if self.also else self.has_url

    def is_told(self, application: Listener, initiator: str) -> bool:
        return bool(getattr(application, self.field)) and self.also_in_python(application, initiator)


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach one receiver, as of one version of the configuration. `refusal`: why nothing may be sent there."""

    url: str
    refusal: str | None
    mint: Callable[[Claimed, datetime], Message]  # a new one for each attempt


class NothingToTell(Exception):
    """What an administrator took away is not sent any more. The text is the delivery's reason."""


class Judge(Protocol):
    """What an answer means."""

    def __call__(self, answer: Answer, history: History, *, at: datetime, jitter: float) -> Decision: ...


Router = Callable[[Claimed, Snapshot], Route]


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted in one attempt, and the `jti` of its token. `verdict`: of the answer to this very message, in place of the
    channel's."""

    body: bytes
    headers: Mapping[str, str]
    jti: str
    verdict: Judge | None = None


@dataclass(frozen=True, slots=True)
class Dispatch:
    """How a worker tells a receiver. `route` raises NothingToTell, and what it cannot do; `verdict` judges the answer.

    `in_order`: its rows are sent one after the other, as they were planned; one that is not taken holds back those behind it.
    `of_claim`: the same as `route`, with what it needs of these rows read at once.
    """

    route: Router
    verdict: Judge
    in_order: bool = False
    of_claim: Callable[[Sequence[Claimed]], Router] | None = None


@dataclass(frozen=True, slots=True)
class DeliveryChannel:
    """A row of the registry.

    Who hears by it is its `select`, or, if it has only a `hearing`, each application that joined and hears so. Receivers
    that are no applications have a `select` only: its columns are those of `planning.INSERT`, a receiver's key among them.
    """

    name: str  # as rows, logs and metrics spell it
    title: str  # as people read it
    hearing: Hearing | None = None
    select: str = ""
    on: Callable[[Occasion], bool] = lambda _: True  # the acts at which it is used
    of_person: bool = False  # one row for all sessions that ended, without a session
    dispatch: Dispatch | None = None  # None: no worker sends it
    in_browser: bool = False  # the sign-out page tells, and says what came of it
    answers_us: bool = False  # its frame begins at an address of ours, and the application's answer comes back to one
