"""Every operation asked with what the document allows and with what it does not, by schemathesis: nothing is a fault, every status
and every body is documented, what the document forbids is refused, and nobody is let in without a token.

The same requests each time: the seed is fixed. Each is taken back, so that the next finds the same rows. One test, as rows and
token are made once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from django.db import transaction
from django.test.client import ClientHandler
from django.utils import timezone
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.pytest._test_builder import build_operation_test

from idp.crypto import keys
from idp.models import ClientGrant, ResourceServer, Role, SigningKey
from idp.protocol.initiators import Initiator
from logout_app.api.frame import pace
from logout_app.api.table import OPERATIONS
from logout_app.ending.end import Selection, end_sessions
from logout_app.models import EventStream, LogoutDelivery, LogoutEvent, StreamKind
from logout_app.streams import manage
from sessions_app.audit.events import EventType
from sessions_app.models import Consent, RefreshTokenFamily, SessionEvent
from sessions_app.transfer import exports
from sessions_app.transfer.exports import WantedExport
from tests.support import api_page
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.management import make_program, token_of
from tests.support.oauth import tokens_for

pytestmark = [pytest.mark.once, pytest.mark.django_db]
# Some that succeed at least once: not everything is only refused.
MET = (
    ("GET", "users"),
    ("GET", "users/{user_id}"),
    ("GET", "clients/{client_id}"),
    ("DELETE", "sessions/{sid}"),
    ("GET", "logs/{log_id}"),
    ("GET", "deliveries/{delivery_id}"),
    ("GET", "jobs/{job_id}"),
    ("GET", "log-streams/{stream_id}"),
    ("GET", "event-streams/{stream_id}/deliveries/{event_id}"),
    ("POST", "event-streams/{stream_id}/redeliver"),
)
MOST = 40  # boundaries of an operation
CONFIG = SchemathesisConfig.from_dict(
    {
        "seed": 18,
        "generation": {"max-examples": 6, "deterministic": True, "database": "none", "no-shrink": True},
        "checks": {
            # 400: the rulebooks know more than a schema says
            "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404", "409", "429"]},
        },
    }
)
SCHEMA = schemathesis.openapi.from_dict(json.loads(api_page.DOCUMENT.read_text()), config=CONFIG)
Places = dict[str, str]
SERVE = ClientHandler(enforce_csrf_checks=True)


def _application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Curfew as Django's test client serves it: in the transaction of the test."""
    response = SERVE(environ)
    start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
    return [response.content]


SCHEMA.app = _application


def _stream(*, as_events: bool) -> EventStream:
    row = EventStream(kind=StreamKind.WEBHOOK, public_id=manage.new_public_id(), name="Hook", as_events=as_events)
    row.endpoint, row.events = "https://hook.example/in", [EventType.ENDED]
    for column in ("secret", "authorization"):
        setattr(row, column, manage.seal(row, column, "Bearer secret"))
    row.save()
    return row


def _made() -> tuple[str, Places]:
    keys.ensure()
    app, user = make_application("App"), make_user(user_metadata={"plan": "gold"})
    role = Role.objects.create(name="Staff")
    role.people.add(user)
    ended = make_session(user, app)
    why = {"initiator": Initiator.SESSION_REVOKED, "actor": "system", "at": timezone.now()}
    end_sessions(Selection.session(ended.pk), offline_tokens=False, **why)
    session = make_session(user, app)
    tokens_for(session, app, scope="openid offline_access")
    consent = Consent.objects.create(user=user, application=app, scopes=["openid"], granted_at=timezone.now())
    api = ResourceServer.objects.create(identifier="https://api.example/", name="API")
    grant = ClientGrant.objects.create(application=app, resource_server=api, scope=[])
    token = token_of(make_program())
    log, hook = _stream(as_events=False), _stream(as_events=True)
    manage.send_verification(hook, None, timezone.now())
    job = exports.create(WantedExport(None, "json"), actor="system", at=timezone.now())
    return token, {
        "log-streams stream_id": log.public_id,
        "event-streams stream_id": hook.public_id,
        "event-streams event_id": hook.items.get().jti,
        "job_id": job.public_id,
        "user_id": user.user_id,
        "sid": session.sid,
        "client_id": app.client_id,
        "role_id": role.public_id,
        "connection_id": make_connection().public_id,
        "token_id": RefreshTokenFamily.objects.get().public_id,
        "grant_id": f"{consent.pk:024x}",
        "client-grants grant_id": f"cgr_{grant.pk:016x}",
        "named": f"{api.pk:024x}",
        "kid": SigningKey.objects.order_by("pk")[0].kid,
        "log_id": str(SessionEvent.objects.order_by("pk")[0].pk),
        "event_id": str(LogoutEvent.objects.get().pk),
        "delivery_id": str(LogoutDelivery.objects.order_by("pk")[0].pk),
    }


def test_every_operation_is_as_documented(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    (token, places), wrong, answered = _made(), dict[str, str](), set[str]()

    def ask(case: schemathesis.Case) -> None:
        nonlocal answered
        pace.PACE.forget()
        _place(case, places)
        with transaction.atomic():
            try:
                response = case.call_and_validate(headers={"Authorization": f"Bearer {token}"})
                answered |= {case.operation.label} if response.status_code < 300 else set()
            except FailureGroup as failures:
                wrong.update({f"{case.operation.label}: {one.title}": one.message for one in failures.exceptions})
            transaction.set_rollback(True)

    for found in SCHEMA.get_all_operations():
        _bounded(found.ok(), ask)()
    assert not wrong, "\n\n".join(f"{what}\n{message}" for what, message in wrong.items())
    assert {f"{method} /api/v2/{path}" for method, path in MET} <= answered
    assert len(answered) > len(OPERATIONS) / 2


def _bounded(operation: Any, ask: Callable[..., None]) -> Callable[[], None]:
    """The boundaries of every parameter and key, evenly thinned out where there are many, then some at random."""
    test: Any = build_operation_test(
        config=SCHEMA.config, operation=operation, test_func=ask, given_kwargs={}, feedback=NO_FEEDBACK
    )
    boundaries = getattr(test, "hypothesis_explicit_examples", [])
    boundaries[:] = boundaries[:: max(1, round(len(boundaries) / MOST))]
    found: Callable[[], None] = test
    return found


def _place(case: schemathesis.Case, places: Places) -> None:
    """Ids of what there is, where what is asked is meant to be understood."""
    if case.path_parameters and (case.meta is None or case.meta.generation.mode.is_positive):
        thing = case.path.split("/")[3]
        for name, value in case.path_parameters.items():
            case.path_parameters[name] = places.get(f"{thing} {name}", places.get(name, value))
