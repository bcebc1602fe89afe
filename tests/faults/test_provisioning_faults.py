"""Identity providers write and signal while our server is killed, or all at once. Real servers on the test's database."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from idp.models import Connection, ProvisionedUser
from logout_app.models import DeliveryTally, LogoutDelivery, LogoutEvent, ReceivedSignal
from sessions_app.models import SessionEvent, SSOSession
from tests.protocol.gtr.support import lives, make_federated_user
from tests.protocol.scim.conftest import provisioned
from tests.protocol.scim.support import PATCH, Scim, person
from tests.support.factories import make_application, make_connection, make_session
from tests.support.processes import Installation
from tests.support.upstreams.scripted_oidc import rsa_key
from tests.support.upstreams.scripted_transmitter import CAEP, RISC, ScriptedTransmitter

pytestmark = pytest.mark.django_db(transaction=True)
REVOKED, DISABLED = f"{CAEP}session-revoked", f"{RISC}account-disabled"
EVENT = {"Content-Type": "application/secevent+jwt"}
PEOPLE = 12


@pytest.fixture
def transmitter() -> Iterator[ScriptedTransmitter]:
    with ScriptedTransmitter() as scripted:
        yield scripted


@pytest.fixture
def acme(transmitter: ScriptedTransmitter) -> Connection:
    places = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    signals = {"issuer": transmitter.issuer, "audience": transmitter.audience}
    options = {"issuer": transmitter.issuer, "client_id": "curfew", "shared_signals": signals}
    options |= {name: f"{transmitter.issuer}/{name}" for name in places}
    return make_connection("acme", "oidc", options=options)


@pytest.fixture
def scim() -> Scim:
    return provisioned(make_connection("acme-okta", "okta"))


def push(installation: Installation, token: str) -> int:
    address = f"http://localhost:{installation.port}/ssf/acme/events"
    return requests.post(address, token, headers=EVENT, timeout=60).status_code


def push_until_answered(installation: Installation, token: str) -> int:
    """As a transmitter does it, which is asked to come again while the key set is fetched for the first of its events."""
    for _ in range(60):
        if (status := push(installation, token)) != 503:
            return status
        time.sleep(0.5)
    return status


def send(installation: Installation, scim: Scim, method: str, path: str, body: Any) -> requests.Response:
    address = f"http://localhost:{installation.port}{scim.base}{path}"
    return requests.request(method, address, json=body, headers={"Authorization": f"Bearer {scim.token}"}, timeout=60)


def start_doomed(installation: Installation, place: str) -> Any:
    once = str(installation.folder / "killed")
    return installation.web(application="tests.support.killed:application", KILLED_AT=place, KILLED_ONCE=once)


@pytest.mark.parametrize("place", ["commit", "answer"])
def test_a_server_killed_around_the_commit_of_an_event_gets_it_again_with_one_effect(
    installation: Installation, transmitter: ScriptedTransmitter, acme: Connection, place: str
) -> None:
    """Nobody was answered, so the transmitter repeats; a sign-in after the event outlives the repetition."""
    ann = make_federated_user(acme, "ann", "ann@acme.example")
    session = make_session(ann, make_application(backchannel_logout_uri="https://app.example/bc"))
    token = transmitter.token(REVOKED, sub_id=transmitter.subject("ann"))
    web = start_doomed(installation, place)
    with pytest.raises(requests.ConnectionError):
        push(installation, token)
    assert lives(session) is (place == "commit")
    web.kill()

    newer = make_session(ann) if place == "answer" else None
    installation.web()
    assert [push(installation, token) for _ in range(3)] == [202] * 3
    assert not lives(session)
    assert newer is None or lives(newer)
    assert (LogoutEvent.objects.count(), LogoutDelivery.objects.count(), ReceivedSignal.objects.count()) == (1, 1, 1)


def test_a_server_killed_before_it_answers_a_source_is_asked_again_with_one_effect(
    installation: Installation, scim: Scim
) -> None:
    key = scim.add()
    session = make_session(scim.user(key), make_application(backchannel_logout_uri="https://app.example/bc"))
    off = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": False}}]}
    web = start_doomed(installation, "answer")
    with pytest.raises(requests.ConnectionError):
        send(installation, scim, "PATCH", f"/Users/{key}", off)
    assert not lives(session)
    web.kill()

    installation.web()
    answers = [send(installation, scim, "PATCH", f"/Users/{key}", off) for _ in range(2)]
    assert [(answer.status_code, answer.json()["active"]) for answer in answers] == [(200, False)] * 2
    assert (LogoutEvent.objects.count(), LogoutDelivery.objects.count()) == (1, 1)
    assert SessionEvent.objects.filter(type="scim_deprovisioned").count() == 1


def test_a_storm_of_events_at_a_real_server_ends_whom_they_name_once_and_nobody_else(
    installation: Installation, transmitter: ScriptedTransmitter, acme: Connection
) -> None:
    """Each event three times, some people twice, forged ones between them."""
    application = make_application(backchannel_logout_uri="https://app.example/bc")
    people = [make_federated_user(acme, f"p{n}", f"p{n}@acme.example") for n in range(PEOPLE)]
    sessions = [make_session(person, application) for person in people for _ in range(2)]
    bystander = make_session(make_federated_user(acme, "bystander", "bystander@acme.example"), application)
    named = [transmitter.subject(f"p{n}") for n in range(PEOPLE)]
    events = [transmitter.token(uri, sub_id=subject) for uri in (REVOKED, DISABLED) for subject in named]
    strangers = {"key": rsa_key("attacker"), "header": {"kid": "transmitter"}}
    forged = [transmitter.token(DISABLED, sub_id=transmitter.subject("bystander"), **strangers) for _ in range(20)]
    storm = [token for pair in zip(events * 3, forged * 4, strict=False) for token in pair]
    installation.web()
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda token: push_until_answered(installation, token), storm))
    assert statuses == {202: len(events) * 3, 400: len(storm) - len(events) * 3}
    assert not any(map(lives, sessions))
    assert lives(bystander)
    assert LogoutDelivery.objects.count() == len(sessions)
    assert SSOSession.objects.filter(ended_at=None).count() == 1
    assert ReceivedSignal.objects.filter(error="").count() == len(events)
    assert DeliveryTally.objects.get(metric="signals", label="repeated").value == len(events) * 2


def test_two_syncs_of_a_directory_at_once_make_everybody_and_every_membership_once(
    installation: Installation, scim: Scim
) -> None:
    """As two agents of one source do it: look for each person, make who is missing, then put all into the group."""
    group = scim.add_group("Staff")
    installation.web()

    def sync(order: range) -> list[int]:
        statuses = []
        for number in order:
            name = f"p{number}@acme.example"
            found = send(installation, scim, "GET", f'/Users?filter=userName eq "{name}"', None).json()
            if not found["totalResults"]:
                statuses.append(send(installation, scim, "POST", "/Users", person(name)).status_code)
        keys = [row["id"] for row in send(installation, scim, "GET", "/Users?count=1000", None).json()["Resources"]]
        for key in keys if order.step > 0 else reversed(keys):
            joins = {"op": "add", "path": "members", "value": [{"value": key}]}
            body = {"schemas": [PATCH], "Operations": [joins]}
            statuses.append(send(installation, scim, "PATCH", f"/Groups/{group}", body).status_code)
            change = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": str(order)}]}
            statuses.append(send(installation, scim, "PATCH", f"/Users/{key}", change).status_code)
        return statuses

    with ThreadPoolExecutor(2) as pool:
        statuses = Counter(status for found in pool.map(sync, (range(20), range(19, -1, -1))) for status in found)
    assert set(statuses) <= {200, 201, 409}, statuses
    assert statuses[201] == ProvisionedUser.objects.count() == 20
    members = [member["value"] for member in scim.get(f"/Groups/{group}")["members"]]
    assert sorted(members) == sorted(ProvisionedUser.objects.values_list("public_id", flat=True))
