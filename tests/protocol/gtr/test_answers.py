"""What is answered, and what is kept of it."""

from __future__ import annotations

import json

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from idp.connections.registry import PASSWORD_PROTOCOLS
from idp.limits import limiter
from idp.models import Connection
from logout_app.gtr import revocation
from logout_app.models import LogoutEvent, RevocationRequest
from logout_app.protocol.gtr import TYP
from sessions_app.models import SessionEvent, SSOSession
from tests.protocol.gtr.support import DRAFT, Okta, assert_refused
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.upstreams.scripted_oidc import ABSENT, CLIENT, rsa_key, sign

pytestmark = pytest.mark.django_db


@pytest.mark.spec(DRAFT, "Revocation Response", "204 and nothing else when the person is signed out")
def test_what_okta_sends_signs_the_person_out(okta, session):
    response = okta.revoke("00uann")
    assert (response.status_code, response.content) == (204, b"")
    ended = SSOSession.objects.get(pk=session.pk)
    assert (ended.end_initiator, ended.end_actor) == ("idp-logout", "upstream:acme-okta")
    kept = RevocationRequest.objects.get()
    assert (kept.status, kept.sub, kept.event) == (204, "okta|acme-okta|00uann", LogoutEvent.objects.get())
    audit = SessionEvent.objects.get(type="universal_logout_succeeded")
    assert (audit.sub, audit.initiator, audit.data["sessions_ended"]) == (kept.sub, "idp-logout", 1)


def test_a_request_about_somebody_who_is_signed_in_nowhere_is_done_too(okta, ann):
    assert okta.revoke("00uann").status_code == 204
    assert RevocationRequest.objects.get().event is None


def test_who_fails_too_often_is_told_to_wait_and_nobody_else(okta, ann):
    """The attacker is stopped; the identity provider is not, not even behind the same address."""
    bad = okta.token(key=rsa_key("attacker"))
    statuses = [okta.post(okta.subject_of("00uann"), bad).status_code for _ in range(revocation.FAILURES.count + 20)]
    assert set(statuses[: revocation.FAILURES.count]) == {401}
    assert set(statuses[revocation.FAILURES.count :]) == {429}
    refused = okta.post(okta.subject_of("00uann"), bad)
    assert 0 < int(refused.headers["Retry-After"]) <= revocation.FAILURES.window
    assert okta.revoke("00uann").status_code == 204


def test_strangers_do_not_fill_the_table(okta, monkeypatch, ann):
    monkeypatch.setattr(revocation, "KEPT", limiter.Limit("gtr-kept", 3, 3600))
    for _ in range(6):
        okta.post(okta.subject_of("00uann"), okta.token(key=rsa_key("attacker")))
    assert RevocationRequest.objects.count() == 3
    assert SessionEvent.objects.filter(type="universal_logout_failed").count() == 3


def test_refusals_are_kept_with_their_reason_which_the_answer_does_not_tell(okta, ann):
    response = okta.revoke("00uann", aud="https://elsewhere.example/")
    kept = RevocationRequest.objects.get()
    assert kept.status == 401
    assert kept.reason.startswith("it is for somebody else: its aud is not the URL of this endpoint http")
    assert "aud" not in response.json()["error_description"]
    assert SessionEvent.objects.get(type="universal_logout_failed").data["status"] == 401


@pytest.mark.parametrize("linked", [False, True], ids=["one connection", "linked"])
def test_how_many_statements_it_takes_does_not_depend_on_the_sessions(okta, ann, linked):
    """Connection; person found, token spent and mark raised; sessions ended; everything else."""
    if linked:
        contoso = make_connection("contoso", "okta", options={"client_id": "x", "issuer": "https://contoso.example"})
        ann.identities.create(connection=contoso, sub="ann-at-contoso")
    apps = [make_application(f"App {n}", backchannel_logout_uri=f"https://app{n}.example/bc") for n in range(3)]
    okta.revoke("00uann")  # keys and configuration are known from here on
    counts = []
    for sessions in (0, 1, 50):
        for _ in range(sessions):
            make_session(ann, *apps, connection=okta.connection, identity=ann.identities.get(sub="00uann"))
        with CaptureQueriesContext(database) as captured:
            assert okta.revoke("00uann").status_code == 204
        counts.append(len([query for query in captured if "SAVEPOINT" not in query["sql"]]))
        assert not SSOSession.objects.filter(ended_at=None).exists()
    # SQLite writes one table in a statement; without an event its deliveries and its trail are left out.
    assert counts == ([4, 4, 4] if database.vendor == "postgresql" else [10, 12, 12])


def test_password_connections_take_no_revocation_requests(okta, ann):
    assert "auth0" in PASSWORD_PROTOCOLS
    make_user()
    database = Okta(okta.issuer, CLIENT, Connection.objects.get(name="FabrikamAD"), okta.key)
    assert_refused(database.revoke("anything"))


def test_a_signature_by_another_algorithm_of_the_same_key_is_good(okta, ann):
    for algorithm in ("RS512", "PS256"):
        token = sign(json.dumps(okta.claims()).encode(), okta.key, alg=algorithm, typ=TYP, kid=ABSENT)
        assert okta.post(okta.subject_of("00uann"), token).status_code == 204
