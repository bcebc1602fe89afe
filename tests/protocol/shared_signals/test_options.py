"""The option `shared_signals` at the doors of a connection."""

from __future__ import annotations

import pytest

from idp.connections import rules, shared_signals, trust
from idp.connections.trust import ConnectionChange
from idp.models import Connection
from idp.protocol.signal_events import CAEP, Effect

BASE = {"client_id": "x", "issuer": "https://acme.example"}


def made(value, strategy="okta", **more):
    return Connection(
        name="acme", strategy=strategy, options={**BASE, "domain": "acme.okta.com", "shared_signals": value, **more}
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"jwks_uri": "https://a.example/jwks"}, "shared_signals.issuer: is missing"),
        ({"issuer": "ftp://a.example"}, "shared_signals.issuer: "),
        ({"issuer": "https://a.example", "jwks_uri": 7}, "shared_signals.jwks_uri: it must be a URL"),
        ({"issuer": "https://a.example", "method": "pull"}, "shared_signals.method: must be push or poll"),
        ({"issuer": "https://a.example", "audience": [""]}, "shared_signals.audience: must be text"),
        ({"issuer": "https://a.example", "audience": {}}, None),
        ({"issuer": "https://a.example", "events": {"session-revokt": "note"}}, "session-revokt is no event"),
        (
            {"issuer": "https://a.example", "events": {"session-revoked": "destroy"}},
            "what session-revoked does must be",
        ),
        ({"issuer": "https://a.example", "events": ["session-revoked"]}, "shared_signals.events: must be an object"),
        ({"issuer": "https://a.example", "endpoint": "x"}, "shared_signals: has no endpoint"),
        ("https://a.example", "shared_signals: must be an object"),
    ],
)
def test_what_makes_no_sense_is_said(value, said):
    found = [str(problem) for problem in rules.problems(made(value))]
    assert (found == []) if said is None else any(said in sentence for sentence in found), found


def test_events_are_read_by_name_and_by_uri():
    value = {
        "issuer": "https://a.example",
        "events": {"session-revoked": "note", f"{CAEP}credential-change": "end_sessions"},
    }
    options = shared_signals.of(made(value))
    assert options.effect_of(f"{CAEP}session-revoked") is Effect.NOTE
    assert options.effect_of(f"{CAEP}credential-change") is Effect.END_SESSIONS
    assert options.effect_of(f"{CAEP}token-claims-change") is Effect.REFRESH_GROUPS
    assert options.effect_of("https://schemas.example/other") is Effect.NOTE


@pytest.mark.parametrize("strategy", ["auth0", "ad"])
def test_connections_whose_passwords_are_typed_here_have_no_signals(strategy):
    row = Connection(name="acme", strategy=strategy, options={"shared_signals": {"issuer": "https://a.example"}})
    assert "shared_signals: is not known here" in [str(problem) for problem in rules.misshapen(row)]


def test_the_access_token_is_asked_for_again_when_it_would_go_to_another_transmitter_and_not_before():
    stored = made({"issuer": "https://a.example"})
    stored.sealed_options = {"shared_signals_token": "sealed", "client_secret": "sealed"}
    same = {**stored.options, "shared_signals": {"issuer": "https://a.example", "events": {"session-revoked": "note"}}}
    assert trust.untyped(ConnectionChange(stored, same)) == {}
    moved = {**stored.options, "shared_signals": {"issuer": "https://b.example"}}
    assert list(trust.untyped(ConnectionChange(stored, moved))) == ["shared_signals_token"]
