"""What holds for every operation of the table, so that one that is added tomorrow is not forgotten."""

from __future__ import annotations

import re
from itertools import cycle
from time import process_time

import pytest
from allauth.mfa.models import Authenticator
from django.utils import timezone

from idp.models import Connection
from idp.scim import tokens
from logout_app.api.frame.operations import Operation
from logout_app.api.table import OPERATIONS
from logout_app.models import EventStream
from sessions_app.models import RefreshTokenFamily, SessionEvent
from sessions_app.tasks import run_transfer_jobs
from tests.protocol.api.test_event_streams import STREAM as EVENT_STREAM
from tests.protocol.api.test_jobs import HASH, upload
from tests.support.factories import PASSWORD, make_session, make_user
from tests.support.management import Api
from tests.support.oauth import tokens_for
from tests.support.second_factors import give_all

pytestmark = pytest.mark.django_db
WRONG = ["_connector=OR", "user__password__startswith=a", "filter[__class__]=x", "ordering=password"]
OUT_OF_BOUNDS = ["per_page=1000000", "per_page=-1", "per_page=1e9", "per_page=x", "per_page=", "page=999999999"]


def place(operation: Operation) -> str:
    return re.sub(r"<\w+:\w+>", "x", operation.path)


def test_a_parameter_that_nobody_knows_is_refused_by_every_operation():
    """None of them reaches a filter, an order or a class."""
    api = Api()
    for operation, query in zip(OPERATIONS, cycle(WRONG), strict=False):
        answer = api.ask(operation.method, f"{place(operation)}?{query}")
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_query_string"), operation
    assert not SessionEvent.objects.filter(type="api_operation").exists()


def test_no_list_is_longer_than_it_may_be():
    api = Api()
    for operation in OPERATIONS:
        for query in OUT_OF_BOUNDS if "page" in operation.query else ():
            answer = api.ask(operation.method, f"{place(operation)}?{query}")
            assert (answer.status_code, answer.json()["errorCode"]) == (400, "invalid_query_string"), operation


def test_a_body_as_long_as_bodies_may_be_is_judged_in_moments():
    """Each of its hundred thousand entries was compared with all others: minutes of a core."""
    api, many = Api(), [f"{number:x}" for number in range(100_000)]
    for path, body in {
        "refresh-tokens/revoke": {"ids": many},
        "clients": dict.fromkeys(many[:80_000], 1),
        "client-grants": {"scope": many},
    }.items():
        began = process_time()
        assert api.post(path, body).status_code == 400
        assert process_time() - began < 10, path


def test_no_answer_has_what_opens_something(app):
    """Everything that keeps a secret exists, with one that is known; then whatever can be read is read."""
    api, known = Api(), [PASSWORD, HASH["hash"]["value"]]
    user = make_user()
    session = make_session(user, app)
    tokens_of_person = tokens_for(session, app, scope="openid offline_access")
    known += [tokens_of_person["access_token"], tokens_of_person["refresh_token"]]
    give_all(user)
    known += [
        str(row.data[name]) for row in Authenticator.objects.all() for name in ("secret", "seed") if name in row.data
    ]
    made = api.post("clients", {"name": "Shop", "app_type": "regular_web", "callbacks": ["https://shop.example/cb"]})
    known.append(made.json()["client_secret"])
    options = {"domain": "acme.okta.com", "client_id": "x", "client_secret": "s3cret-of-okta"}
    assert api.post("connections", {"name": "acme", "strategy": "okta", "options": options}).status_code == 201
    known.append("s3cret-of-okta")
    okta = Connection.objects.get(name="acme")
    tokens.switch_on(okta, actor="system", at=timezone.now())
    scim = api.post(f"connections/{okta.public_id}/scim-configuration/tokens").json()
    known.append(scim["token"].partition(".")[2])
    sink = {"httpEndpoint": "https://siem.example/in", "httpAuthorization": "Bearer s3cret-of-siem"}
    stream = api.post("log-streams", {"type": "http", "sink": sink}).json()
    known += ["s3cret-of-siem", stream["sink"]["signatureSecret"]]
    watching = api.post("event-streams", EVENT_STREAM).json()
    known += ["s3cret-of-hook", watching["destination"]["configuration"]["signature_secret"]]
    signals = {"issuer": "https://transmitter.example", "token": "s3cret-of-signals"}
    assert api.ask("PUT", f"connections/{okta.public_id}/signals", signals).status_code == 200
    known.append("s3cret-of-signals")
    database = user.identities.get().connection
    row = {"email": "no address", "password": PASSWORD, "custom_password_hash": HASH}
    job = upload(api, [row], connection_id=database.public_id).json()["id"]
    run_transfer_jobs()
    known.append(app.raw_secret)
    ids = {
        "user_id": user.user_id.replace("|", "%7C"),
        "client_id": made.json()["client_id"],
        "connection_id": okta.public_id,
        "sid": session.sid,
        "token_id": RefreshTokenFamily.objects.get().public_id,
        "stream_id": EventStream.objects.get(as_events=False).public_id,
        "job_id": job,
    }
    read = 0
    for operation in OPERATIONS:
        if operation.method != "GET":
            continue
        there = ids | ({"stream_id": watching["id"]} if operation.path.startswith("event-streams") else {})
        path = re.sub(r"<\w+:(\w+)>", lambda found: there.get(found[1], "x"), operation.path)  # noqa: B023  asked at once
        query = {"user_id": user.user_id} if "user_id" in operation.query else {}
        query |= {"email": user.email} if "email" in operation.query else {}
        answer = api.get(path, **query)
        read += answer.status_code == 200
        text = answer.content.decode()
        for secret in known:
            assert secret not in text, (operation.path, secret)
        assert not re.search(
            r'"(password|d|secret|client_secret|signatureSecret|signature_secret|token)":\s*"(?!\*{5})', text
        ), operation.path
    assert read > len([one for one in OPERATIONS if one.method == "GET"]) // 2
    assert len(known) == len({*known}) >= 10
