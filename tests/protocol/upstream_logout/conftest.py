"""A connection to a provider of ours, and somebody who signed in through it."""

from __future__ import annotations

from typing import Any

import pytest

from idp.connections.oidc import flow
from idp.connections.options import secret_context
from idp.crypto.sealing import seal
from idp.models import Connection, Identity, User
from sessions_app.models import SSOSession
from tests.support.factories import make_application, make_session
from tests.support.upstreams.scripted_oidc import CLIENT, SECRET, ScriptedProvider

ID_TOKEN = "header.payload.signature"


@pytest.fixture(autouse=True)
def _loopback_upstreams(loopback_upstreams: None) -> None:
    """For every test here."""


@pytest.fixture
def connection(provider: ScriptedProvider, db: None) -> Connection:
    return Connection.objects.create(
        name="Acme",
        display_name="Acme Okta",
        strategy="oidc",
        options={"discovery_url": provider.discovery_url, "client_id": CLIENT},
        sealed_options={"client_secret": seal(SECRET, secret_context("Acme", "client_secret"))},
    )


@pytest.fixture
def person(connection: Connection) -> User:
    return make_person(connection)


@pytest.fixture
def session(connection: Connection, person: User, provider: ScriptedProvider) -> SSOSession:
    app = make_application(backchannel_logout_uri="https://jwt-debugger.example/backchannel")
    return make_upstream_session(
        connection, person, app, end_session_endpoint=provider.metadata["end_session_endpoint"]
    )


def make_person(connection: Connection, sub: str = "mary") -> User:
    user = User.objects.create_user(f"oidc|{connection.name}|{sub}", None, email=f"{sub}@acme.example")
    Identity.objects.create(user=user, connection=connection, sub=sub, email=f"{sub}@acme.example")
    return user


def make_upstream_session(
    connection: Connection, person: User, *applications: Any, sid: str = "up-1", end_session_endpoint: str = ""
) -> SSOSession:
    return make_session(
        person,
        *applications,
        upstream_sid=sid,
        upstream={
            "iss": "as discovered",
            "sub": "mary",
            "id_token": seal(ID_TOKEN, flow.hint_context(connection)),
            "end_session_endpoint": end_session_endpoint,
        },
    )
