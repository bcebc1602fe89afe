"""A receiver of our streams, as the Foundation's suite and real ones behave: it manages one with its token, and reads what comes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.models import Application, ClientGrant, ResourceServer
from idp.protocol.opaque import digest, new_secret
from idp.tenants import signals_api
from logout_app.delivery import deliver, ledger, outbox
from logout_app.delivery.channels.registry import SENT
from logout_app.delivery.outbox import Result
from logout_app.models import EventStream
from logout_app.protocol.retry import Outcome
from logout_app.protocol.streams import vocabulary as v
from logout_app.streams import feed
from sessions_app.audit.settled import SettledTrail
from sessions_app.models import AccessToken
from tests.support.factories import make_application

PUSHED_TO = "http://127.0.0.1:18009/events"


def make_receiver(name: str = "Receiver", scope: tuple[str, ...] = (*signals_api.SCOPES,)) -> Application:
    """An application with a client grant for streams."""
    signals_api.ensure()
    application = make_application(name, grant_types=["client_credentials", "authorization_code", "refresh_token"])
    api = ResourceServer.objects.get(identifier=signals_api.audience())
    ClientGrant.objects.create(application=application, resource_server=api, scope=list(scope))
    return application


def bearer(application: Application, scope: str = "ssf.read ssf.manage", **changes: Any) -> str:
    raw = new_secret()
    given = {
        "token_checksum": digest(raw),
        "scope": scope,
        "audience": signals_api.audience(),
        "application": application,
        "expires": timezone.now() + timedelta(hours=1),
    }
    AccessToken.rows.bulk_create([AccessToken(token="", **{**given, **changes})])
    return raw


class StreamReceiver:
    def __init__(self, application: Application, token: str = "") -> None:
        self.application, self.token = application, token or bearer(application)
        self.stream: dict[str, Any] = {}

    @property
    def row(self) -> EventStream:
        return EventStream.objects.get(public_id=self.stream["stream_id"])

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> HttpResponse:
        given = self.token if token is None else token
        headers = {"Authorization": f"Bearer {given}"} if given else {}
        data = body if isinstance(body, str) else json.dumps(body)
        return Client().generic(method, path, data, content_type="application/json", headers=headers)

    def get(self, path: str, **query: str) -> HttpResponse:
        return Client().get(path, query, headers={"Authorization": f"Bearer {self.token}"})

    def wanted(self, method: str = v.POLL, **changes: Any) -> dict[str, Any]:
        delivery = {"method": method}
        if method != v.POLL:
            delivery |= {"endpoint_url": PUSHED_TO, "authorization_header": "Bearer of-the-receiver"}
        return {"events_requested": list(v.SUPPORTED), "delivery": delivery, "description": "A test", **changes}

    def create(self, method: str = v.POLL, **changes: Any) -> dict[str, Any]:
        response = self.call("POST", "/ssf/streams", self.wanted(method, **changes))
        assert response.status_code == 201, response.content
        self.stream = response.json()
        return self.stream

    def verify(self, state: str | None = None) -> HttpResponse:
        EventStream.objects.update(verification_asked_at=None)
        body = {"stream_id": self.stream["stream_id"]} | ({} if state is None else {"state": state})
        return self.call("POST", "/ssf/verify", body)

    def poll(self, **body: Any) -> dict[str, Any]:
        path = "/" + self.stream["delivery"]["endpoint_url"].split("/", 3)[3]
        response = self.call("POST", path, {"returnImmediately": True, **body})
        assert response.status_code == 200, response.content
        return response.json()

    def polled(self, **body: Any) -> list[dict[str, Any]]:
        return [claims_of(each) for each in self.poll(**body)["sets"].values()]


def claims_of(encoded: str) -> dict[str, Any]:
    """Verified by our published keys, as a receiver must."""
    keys = KeySet.import_key_set(Client().get("/.well-known/jwks.json").json())
    token = jwt.decode(encoded, keys, algorithms=["RS256", "PS256", "ES256"])
    assert token.header["typ"] == "secevent+jwt"
    return token.claims


def fed() -> int:
    """What a worker plans for streams that are pushed."""
    return feed.feed_all(SettledTrail(), timezone.now()).planned


def sent(*outcomes: Outcome) -> list[tuple[dict[str, str], bytes]]:
    """What a worker posts now, without the network; each outcome is one answer, else it is taken. Head and body of each."""
    at = timezone.now()
    rows = outbox.claim(channels=list(SENT), rooms={}, cap=20, limit=100, at=at, lease=timedelta(seconds=10))
    prepared, found, results = deliver.prepare(rows, at), [], []
    answers = list(outcomes)
    for job in prepared.jobs:
        message = job.route.mint(job.claimed, at)
        found.append((dict(message.headers), message.body))
        outcome = answers.pop(0) if answers else Outcome.DELIVERED
        due = at + timedelta(seconds=5) if outcome is Outcome.RETRY else None
        results.append(Result(job.claimed, outcome, "", at, at, due_at=due, status=202, jti=message.jti))
    ledger.write([*results, *prepared.results], {})
    return found


def pushed() -> list[dict[str, Any]]:
    """The claims of the tokens that a worker pushes now."""
    fed()
    return [claims_of(body.decode()) for _, body in sent()]


def events_of(claims: list[dict[str, Any]]) -> list[str]:
    return [next(iter(each["events"])).rpartition("/")[2] for each in claims]
