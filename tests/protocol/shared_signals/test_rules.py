"""What is believed and what is not: forged, foreign, stolen, repeated, malformed and too much of it."""

from __future__ import annotations

import json
import time

import pytest

from idp.limits import limiter
from logout_app.models import LogoutEvent, ReceivedSignal
from logout_app.shared_signals import receive
from logout_app.shared_signals import transmitter as kept
from logout_app.views.signals import shared_signals as view
from sessions_app.models import SessionEvent, SSOSession
from tests.protocol.gtr.support import lives, make_federated_user
from tests.protocol.gtr.test_saml import certificate, make_key
from tests.protocol.shared_signals.support import PUSH, REVOKED, SSF, Pusher, assert_err
from tests.support.factories import make_connection, make_session
from tests.support.upstreams.scripted_oidc import ABSENT, encode, rsa_key, unsigned
from tests.support.upstreams.scripted_transmitter import CAEP, RISC
from tests.support.upstreams.scripted_transmitter import SSF as STREAM

pytestmark = [pytest.mark.once, pytest.mark.django_db]


def good(transmitter, **changes):
    return transmitter.token(REVOKED, **{"sub_id": transmitter.subject("ann"), **changes})


# --- forged and foreign ------------------------------------------------------------------------------------------------
@pytest.mark.spec(SSF, "4.1", "Unsigned events are not accepted")
def test_an_unsigned_event_does_nothing(pusher, transmitter, session):
    claims = {"iss": transmitter.issuer, "aud": transmitter.audience, "jti": "1", "iat": int(time.time())}
    claims |= {"events": {REVOKED: {}}, "sub_id": transmitter.subject("ann")}
    assert_err(pusher.push(unsigned(claims, typ="secevent+jwt")), "invalid_request")
    header, payload, _ = good(transmitter).split(".")
    assert_err(pusher.push(f"{header}.{payload}."), "authentication_failed")
    assert lives(session)


def test_an_event_that_somebody_else_signed_does_nothing(pusher, transmitter, session):
    forged = good(transmitter, key=rsa_key("attacker"), header={"kid": "transmitter"})
    assert_err(pusher.push(forged), "authentication_failed")
    own_key = rsa_key("attacker").as_dict(private=False)
    assert_err(pusher.push(good(transmitter, key=rsa_key("attacker"), header={"jwk": own_key})), "invalid_key")
    assert lives(session)
    kept = ReceivedSignal.objects.latest("pk")
    assert (kept.error, kept.jti, kept.subject) == ("invalid_key", "", "")  # nothing of it is believed
    assert SessionEvent.objects.filter(type="signal_refused").count() == 2


def test_a_key_that_the_transmitter_began_to_use_is_learnt(pusher, transmitter, session):
    assert pusher.push(good(transmitter, sub_id=transmitter.subject("nobody"))).status_code == 202
    transmitter.keys = [rsa_key("next")]
    assert pusher.push(good(transmitter)).status_code == 202
    assert not lives(session)


def test_while_the_key_set_cannot_be_had_the_transmitter_is_asked_to_come_again(pusher, transmitter, session):
    transmitter.answers["GET /jwks"] = (500, {})
    answer = pusher.push(good(transmitter))
    assert_err(answer, "temporarily_unavailable", 503)
    assert answer.headers["Retry-After"]
    assert "HTTP 500" in ReceivedSignal.objects.get().reason


@pytest.mark.parametrize(
    ("changes", "err"),
    [
        ({"iss": "https://elsewhere.example"}, "invalid_issuer"),
        ({"iss": ABSENT}, "invalid_issuer"),
        ({"aud": "https://elsewhere.example"}, "invalid_audience"),
        ({"aud": ABSENT}, "invalid_audience"),
        ({"aud": [1]}, "invalid_audience"),
        ({"sub": "ann"}, "invalid_request"),
        ({"exp": 4102444800}, "invalid_request"),
        ({"jti": ABSENT}, "invalid_request"),
        ({"jti": 7}, "invalid_request"),
        ({"iat": ABSENT}, "invalid_request"),
        ({"iat": "now"}, "invalid_request"),
        ({"iat": 4102444800}, "invalid_request"),
        ({"iat": 1500000000}, "invalid_request"),
        ({"events": ABSENT}, "invalid_request"),
        ({"events": {}}, "invalid_request"),
        ({"events": {REVOKED: {}, f"{CAEP}credential-change": {}}}, "invalid_request"),
        ({"events": {REVOKED: "now"}}, "invalid_request"),
        ({"events": [REVOKED]}, "invalid_request"),
        ({"events": {"": {}}}, "invalid_request"),
        ({"events": {REVOKED: {"event_timestamp": "yesterday"}}}, "invalid_request"),
        ({"events": {REVOKED: {"event_timestamp": -1}}}, "invalid_request"),
        ({"sub_id": ABSENT}, "invalid_request"),
        ({"sub_id": "ann"}, "invalid_request"),
        ({"sub_id": {}}, "invalid_request"),
        ({"sub_id": {"format": 1}}, "invalid_request"),
        ({"sub_id": {"format": "email"}}, "invalid_request"),
        ({"sub_id": {"format": "email", "email": "a" * 300}}, "invalid_request"),
        ({"sub_id": {"format": "iss_sub", "sub": "ann"}}, "invalid_request"),
        ({"sub_id": {"format": "opaque", "id": ["ann"]}}, "invalid_request"),
        ({"sub_id": {"format": "complex"}}, "invalid_request"),
        ({"sub_id": {"format": "complex", "user": "ann"}}, "invalid_request"),
        ({"sub_id": {"format": "aliases", "identifiers": []}}, "invalid_request"),
        (
            {"sub_id": {"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": []}]}},
            "invalid_request",
        ),
    ],
)
@pytest.mark.spec(PUSH, "2.4", "What is wrong is said by an error code")
def test_an_event_that_breaks_a_rule_is_refused_and_ends_nothing(pusher, transmitter, session, changes, err):
    assert_err(pusher.push(good(transmitter, **changes)), err)
    assert lives(session)
    assert LogoutEvent.objects.count() == 0


@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"typ": "logout+jwt"}, {"typ": ABSENT}])
def test_another_kind_of_token_is_refused(pusher, transmitter, session, header):
    assert_err(pusher.push(good(transmitter, header=header)), "invalid_request")
    assert lives(session)


@pytest.mark.parametrize("header", [{"alg": "HS256"}, {"crit": ["exp"], "exp": 1}, {"b64": False, "crit": ["b64"]}])
def test_another_algorithm_and_critical_headers_are_refused_before_a_key_is_asked_for(pusher, transmitter, header):
    _, payload, signature = good(transmitter).split(".")
    header = {"alg": "RS256", "typ": "secevent+jwt", **header}
    assert_err(pusher.push(f"{encode(json.dumps(header).encode())}.{payload}.{signature}"), "invalid_request")
    assert transmitter.seen == []


def test_an_event_of_one_connection_does_nothing_to_people_of_another(pusher, transmitter, connection, session):
    """The transmitter of Contoso names somebody of Acme, by every name that it may know."""
    options = {**connection.options, "shared_signals": {**connection.options["shared_signals"], "audience": "contoso"}}
    make_connection("contoso", "oidc", options=options)
    boss = session.user
    for subject in (
        transmitter.subject("ann"),
        {"format": "email", "email": "ann@acme.example"},
        {"format": "opaque", "id": boss.user_id},
        {"format": "opaque", "id": "ann"},
    ):
        token = good(transmitter, aud="contoso", sub_id=subject)
        assert pusher.push(token, path="/ssf/contoso/events").status_code == 202
        assert_err(pusher.push(token), "invalid_audience")
    session_of_acme = {"format": "complex", "session": {"format": "opaque", "id": "sid-1"}}
    SSOSession.objects.filter(pk=session.pk).update(upstream_sid="sid-1")
    assert (
        pusher.push(good(transmitter, aud="contoso", sub_id=session_of_acme), path="/ssf/contoso/events").status_code
        == 202
    )
    assert lives(session)


def test_a_subject_of_another_issuer_names_nobody(pusher, session):
    foreign = {"format": "iss_sub", "iss": "https://elsewhere.example", "sub": "ann"}
    assert pusher.event(REVOKED, sub_id=foreign).status_code == 202
    assert lives(session)
    assert ReceivedSignal.objects.latest("pk").reason == "nobody of this connection is named so"


@pytest.mark.parametrize("name", ["nobody-knows-it", "FabrikamAD", "off"])
def test_where_no_events_are_configured_none_are_taken(pusher, transmitter, connection, session, name):
    make_connection("FabrikamAD")
    make_connection("off", "oidc", options=connection.options, enabled=False)
    assert_err(pusher.push(good(transmitter), path=f"/ssf/{name}/events"), "invalid_request", 404)


# --- repeated ----------------------------------------------------------------------------------------------------------
@pytest.mark.spec(PUSH, "2", "A repetition is acknowledged and does nothing")
def test_the_same_event_twice_has_one_effect(pusher, transmitter, ann):
    first, token = make_session(ann), good(transmitter)
    assert pusher.push(token).status_code == 202
    again = make_session(ann)
    assert pusher.push(token).status_code == 202
    assert not lives(first)
    assert lives(again)
    assert ReceivedSignal.objects.count() == 1


def test_what_was_rolled_back_is_done_when_it_comes_again(pusher, transmitter, session, monkeypatch):
    """Killed before the commit: nothing was answered, and nothing is spent."""
    token = good(transmitter)

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(receive, "_keep", dies)
        with pytest.raises(KeyboardInterrupt):
            pusher.push(token)
    assert lives(session)
    assert pusher.push(token).status_code == 202
    assert not lives(session)


def test_a_death_between_commit_and_answer_has_one_effect_when_it_comes_again(pusher, transmitter, ann, monkeypatch):
    token, session = good(transmitter), make_session(ann)
    take = receive.take

    def takes_and_dies(*args, **kwargs):
        take(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(receive, "take", takes_and_dies)
        with pytest.raises(KeyboardInterrupt):
            pusher.push(token)
    assert not lives(session)
    newer = make_session(ann)
    assert pusher.push(token).status_code == 202
    assert lives(newer)
    assert LogoutEvent.objects.count() == 1


# --- too much ----------------------------------------------------------------------------------------------------------
@pytest.mark.spec(PUSH, "2.1", "The body is one token, of its media type")
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"x" * 20_000, "", 413),
        (b" ", "", 400),
        (b"\xff\xfe", "", 400),
        (b"a.b.c", "", 400),
        (b"{}", "application/json", 415),
        (b"....", "", 400),
    ],
)
def test_a_body_that_is_no_event_is_refused(pusher, session, body, kind, status):
    assert_err(pusher.push(body, content_type=kind), "invalid_request", status)


def test_only_post_is_answered(pusher, client):
    answer = client.get(pusher.path)
    assert_err(answer, "invalid_request", 405)
    assert answer.headers["Allow"] == "POST"


def test_a_storm_of_forged_events_is_throttled_by_network_and_the_transmitter_is_not(
    pusher, transmitter, session, monkeypatch
):
    monkeypatch.setattr(view, "FAILURES", limiter.Limit("signals", 5, 300))
    monkeypatch.setattr(receive, "KEPT_OF_NETWORK", limiter.Limit("signal-network", 3, 3600))
    forged = good(transmitter, key=rsa_key("attacker"), header={"kid": "transmitter"})
    statuses = [pusher.push(forged).status_code for _ in range(8)]
    assert statuses == [400] * 5 + [429] * 3
    assert ReceivedSignal.objects.count() == 3
    assert pusher.push(good(transmitter)).status_code == 202
    assert not lives(session)


def test_a_storm_of_signed_events_fills_the_page_so_far_only_and_one_that_matters_is_kept(
    pusher, transmitter, session, monkeypatch
):
    monkeypatch.setattr(receive, "KEPT_WITHOUT_EFFECT", limiter.Limit("signal-idle", 3, 3600))
    for number in range(8):
        assert pusher.event(REVOKED, sub=f"nobody-{number}").status_code == 202
    assert ReceivedSignal.objects.count() == 3
    assert pusher.event(REVOKED).status_code == 202
    assert ReceivedSignal.objects.latest("pk").sessions == 1


# --- as vendors send them ------------------------------------------------------------------------------------------------
def test_oktas_subject_in_the_event_without_a_format_is_understood(pusher, transmitter, session):
    event = {"subject": {"user": {"format": "email", "email": "Ann@acme.example"}}, "initiating_entity": "admin"}
    assert pusher.push(transmitter.token(REVOKED, event)).status_code == 202
    assert not lives(session)


def test_googles_subject_in_both_places_and_another_that_differs(pusher, transmitter, session):
    subject = {"format": "email", "email": "ann@acme.example"}
    differs = transmitter.token(REVOKED, {"subject": subject}, sub_id=transmitter.subject("ben"))
    assert_err(pusher.push(differs), "invalid_request")
    assert lives(session)
    assert pusher.push(transmitter.token(REVOKED, {"subject": subject}, sub_id=subject)).status_code == 202
    assert not lives(session)


def test_riscs_old_names_of_subjects_and_events_are_understood(pusher, transmitter, session):
    subject = {"subject_type": "iss-sub", "iss": f"{transmitter.issuer}/", "sub": "ann"}
    assert pusher.push(transmitter.token(f"{RISC}sessions-revoked", {"subject": subject})).status_code == 202
    assert not lives(session)


def test_aliases_name_one_person_in_several_ways(pusher, transmitter, session):
    aliases = [{"format": "phone_number", "phone_number": "+49"}, {"format": "opaque", "id": "ann"}]
    assert pusher.event(REVOKED, sub_id={"format": "aliases", "identifiers": aliases}).status_code == 202
    assert not lives(session)


@pytest.mark.parametrize(
    "subject",
    [
        {"format": "phone_number", "phone_number": "+49"},
        {"format": "complex", "device": {"format": "opaque", "id": "d"}},
    ],
)
def test_a_subject_that_names_nobody_of_ours_is_accepted_and_noted(pusher, session, subject):
    assert pusher.event(REVOKED, sub_id=subject).status_code == 202
    assert lives(session)
    assert ReceivedSignal.objects.latest("pk").effect == "note"


@pytest.mark.spec(SSF, "3.5", "An event whose subject has a critical member that is not understood is discarded")
def test_a_critical_member_that_is_not_understood_makes_an_event_void(pusher, transmitter, connection, session):
    transmitter.metadata["critical_subject_members"] = ["device"]
    del connection.options["shared_signals"]["jwks_uri"]
    connection.save()
    subject = {"format": "complex", "user": transmitter.subject("ann"), "device": {"format": "opaque", "id": "d"}}
    assert pusher.event(REVOKED, sub_id=subject).status_code == 202
    assert lives(session)
    assert "critical device" in ReceivedSignal.objects.latest("pk").reason
    transmitter.metadata["critical_subject_members"] = ["user"]
    kept.forget()
    assert pusher.event(REVOKED, sub_id=subject).status_code == 202
    assert not lives(session)


def test_an_address_that_several_people_have_means_all_of_them(pusher, connection, session):
    twin = make_session(make_federated_user(connection, "twin", "ann@acme.example"))
    assert pusher.event(REVOKED, sub_id={"format": "email", "email": "ann@acme.example"}).status_code == 202
    assert not lives(session)
    assert not lives(twin)


def test_a_test_event_of_a_stream_that_was_made_by_hand_is_accepted(pusher):
    assert pusher.event(f"{STREAM}verification", sub_id={"format": "opaque", "id": "any"}).status_code == 202
    assert_err(
        pusher.event(f"{STREAM}verification", sub_id={"format": "email", "email": "a@b.example"}), "invalid_request"
    )


@pytest.mark.parametrize(
    "subject",
    [
        {"format": "iss_sub", "iss": "http://www.okta.com/exk1", "sub": "ann@acme.example"},
        {"format": "email", "email": "ann@acme.example"},
    ],
)
def test_people_who_come_by_saml_are_named_by_the_entity_id_or_their_address(transmitter, connection, subject):
    options = {
        "signInEndpoint": "https://acme.okta.example/sso",
        "signingCert": certificate(make_key()),
        "idpEntityId": "http://www.okta.com/exk1",
        "shared_signals": connection.options["shared_signals"],
    }
    saml = make_connection("acme-saml", "samlp", options=options)
    session = make_session(make_federated_user(saml, "ann@acme.example", "ann@acme.example"))
    assert Pusher(transmitter, saml).event(REVOKED, sub_id=subject).status_code == 202
    assert not lives(session)
