"""How long a discovery document is believed, and what happens when it changes or goes away."""

from __future__ import annotations

import pytest

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import discovery, document_cache
from idp.connections.oidc import options as oidc_options
from idp.connections.oidc.wire import Deadline
from tests.protocol.connections_oidc.conftest import connect
from tests.support.upstreams.scripted_oidc import WELL_KNOWN


def provider_of(connection):
    return discovery.provider(oidc_options.of(connection), Deadline())


def test_it_is_asked_for_once(provider, connection):
    for _ in range(3):
        assert provider_of(connection).issuer == provider.issuer
    assert provider.hits[WELL_KNOWN] == 1


def test_it_serves_while_its_server_is_away(provider, connection, monkeypatch):
    monkeypatch.setattr(document_cache, "FRESH", (0.0, 0.0, 0.0))
    provider_of(connection)
    provider.stop()
    assert provider_of(connection).issuer == provider.issuer
    monkeypatch.setattr(document_cache, "STALE", 0.0)
    with pytest.raises(UpstreamFault, match="The discovery document at"):
        provider_of(connection)


def test_a_server_that_hangs_does_not_slow_those_who_have_an_older_one(provider, connection, monkeypatch):
    monkeypatch.setattr(document_cache, "FRESH", (0.0, 0.0, 0.0))
    provider_of(connection)
    provider.delays[WELL_KNOWN] = 2
    assert discovery.provider(oidc_options.of(connection), Deadline(0.3)).issuer == provider.issuer
    assert provider_of(connection).issuer == provider.issuer
    assert provider.hits[WELL_KNOWN] == 2


def test_a_mistake_there_that_was_corrected_is_seen_at_once(provider, connection, monkeypatch):
    provider.metadata["token_endpoint"] = "http://not-loopback.example/token"
    with pytest.raises(UpstreamFault, match="The token_endpoint of"):
        provider_of(connection)
    provider.metadata["token_endpoint"] = f"{provider.issuer}/token"
    monkeypatch.setattr(document_cache, "COOL_DOWN", 0.0)
    assert provider_of(connection).token_endpoint == f"{provider.issuer}/token"


def test_a_mistake_is_not_asked_about_again_and_again(provider, connection):
    del provider.metadata["token_endpoint"]
    for _ in range(5):
        with pytest.raises(UpstreamFault, match="it is missing"):
            provider_of(connection)
    assert provider.hits[WELL_KNOWN] == 2


def test_a_connection_that_names_no_place_is_a_sentence(provider):
    with pytest.raises(UpstreamFault, match="says neither"):
        provider_of(connect(provider, discovery_url=""))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"issuer": "a", "issuer": "b"}'])
def test_a_document_that_cannot_be_read_is_a_sentence(provider, connection, body):
    provider.bodies[WELL_KNOWN] = body
    with pytest.raises(UpstreamFault, match="is not a JSON object that can be read"):
        provider_of(connection)


def test_a_redirect_is_not_followed(provider, connection):
    provider.statuses[WELL_KNOWN] = 302
    provider.response_headers[WELL_KNOWN] = {"Location": "http://169.254.169.254/latest"}
    with pytest.raises(UpstreamFault, match="answered HTTP 302"):
        provider_of(connection)
