"""Addresses of a source that says nothing about them: an administrator may answer for them, connection by connection."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from idp.connections import strategies
from idp.connections.contract import Account
from idp.connections.options import KEYS
from idp.models import Connection, Strategy
from idp.people import identities
from tests.support.factories import make_connection

pytestmark = [pytest.mark.django_db, pytest.mark.once]
MARY = "mary@fabrikamcorp.com"
UPSTREAM = ["oidc", "okta", "waad", "adfs", "samlp", "ad"]


def _trusting(strategy: str, **options: Any) -> Connection:
    return make_connection("Acme", strategy, options={"email_is_verified": True, **options})


def _verified(connection: Connection, **said: Any) -> bool:
    identity = identities.receive(connection, Account(sub="1", email=MARY, **said), at=timezone.now())
    identity.user.refresh_from_db()
    return identity.user.email_verified


@pytest.mark.parametrize("strategy", UPSTREAM)
def test_addresses_count_as_verified_where_the_connection_says_so(strategy: str) -> None:
    assert _verified(_trusting(strategy))


@pytest.mark.parametrize("strategy", UPSTREAM)
@pytest.mark.parametrize("options", [{}, {"email_is_verified": False}])
def test_without_the_switch_they_do_not(strategy: str, options: dict[str, Any]) -> None:
    assert not _verified(make_connection("Acme", strategy, options=options))


def test_a_source_that_says_no_is_believed() -> None:
    assert not _verified(_trusting("oidc"), email_denied=True)


def test_who_has_no_address_has_none_that_is_verified() -> None:
    identity = identities.receive(_trusting("ad"), Account(sub="1"), at=timezone.now())
    assert not identity.user.email_verified


def test_the_switch_takes_effect_at_the_next_sign_in() -> None:
    """On and off again, for people who were there before."""
    connection = make_connection("Acme", "ad", options={})
    assert not _verified(connection)
    connection.options = {"email_is_verified": True}
    connection.save()
    assert _verified(Connection.objects.get())
    connection.options = {}
    connection.save()
    assert not _verified(Connection.objects.get())


@pytest.mark.parametrize("strategy", [Strategy.DATABASE, Strategy.GOOGLE])
def test_sources_that_know_themselves_have_no_switch(strategy: str) -> None:
    """Our own accounts, and Google, which says of each address whether it was verified."""
    assert "email_is_verified" not in KEYS[strategy]


@pytest.mark.parametrize("tenant", ["common", "organizations"])
def test_nobody_can_answer_for_the_addresses_of_several_directories(tenant: str) -> None:
    """Whoever administers a directory of Entra writes any address there."""
    options = {"tenant_domain": tenant, "client_id": "x", "email_is_verified": True}
    assert any("several directories" in text for text in strategies.problems("waad", options))
    options = {**options, "tenant_domain": "fabrikam.onmicrosoft.com"}
    assert not any("several directories" in text for text in strategies.problems("waad", options))
