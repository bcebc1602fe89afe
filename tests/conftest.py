"""Fixtures that every kind of test may use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.management.commands import flush
from django.db import connection
from django.template.base import Template
from django.template.context import Context
from django.test.signals import template_rendered
from django.utils.safestring import SafeString

from idp.crypto import keys
from idp.database import settled
from idp.saml import own_key
from idp.tenants import configuration
from sessions_app.audit import events, trail
from sessions_app.audit.events import EventType, Fact
from sessions_app.models import SessionEvent
from tests.support import emptying, template
from tests.support.kept_keys import KeptKeys, read_once


def pytest_unconfigure() -> None:
    """What tests had in common ends, where somebody has begun it."""
    if browser := sys.modules.get("tests.support.chromium"):
        browser.stop()
    if nurseries := sys.modules.get("tests.support.nursery"):
        nurseries.close_all()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> Iterator[None]:
    """Before the test database is made, and until it is gone."""
    with pytest.MonkeyPatch.context() as patch:
        template.fill_new_ones(patch)
        patch.setattr(flush.Command, "handle", emptying.quickly(flush.Command.handle))
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """A copy of what was migrated before, if there is one; every test that commits leaves it as it is now."""
    with django_db_blocker.unblock():
        template.keep()
        emptying.remember()


@pytest.fixture(autouse=True, scope="session")
def _acts_write_what_their_kind_of_line_declares() -> Iterator[None]:
    """Whatever act of ours writes a line of the audit trail, in whatever test."""

    def declared(**columns: Any) -> SessionEvent:
        known = [fact for fact in Fact if columns[fact]]
        assert events.strange(EventType(columns["type"]), known, columns["data"]) == [], columns["type"]
        return SessionEvent(**columns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trail, "SessionEvent", declared)
        yield


@pytest.fixture(autouse=True, scope="session")
def _parts_of_forms_are_not_noted(django_test_environment: None) -> Iterator[None]:
    """Django's client keeps a copy of every context for `response.context`: 500 for a page of a large form, a tenth of its
    time. Those of single fields nobody looks at.
    """

    def render(self: Template, context: Context) -> SafeString:
        if not str(self.name).startswith(("django/forms/", "admin/widgets/")):
            template_rendered.send(sender=self, template=self, context=context)
        return self.nodelist.render(context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", render)
        yield


@pytest.fixture(autouse=True, scope="session")
def _nothing_waits_for_the_transaction_of_the_test() -> Iterator[None]:
    """What a test writes in the transaction that is rolled back would settle when it is over."""
    really = settled.has_passed

    def has_passed(moment: int) -> bool:
        return connection.in_atomic_block or really(moment)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settled, "has_passed", has_passed)
        yield


@pytest.fixture(autouse=True, scope="session")
def _kept_keys() -> Iterator[tuple[KeptKeys, ...]]:
    """Those that sign our JWTs and our SAML. Whoever is told of a key by others, or forges one, makes it for himself."""
    jwts, saml = KeptKeys(keys._new_private), KeptKeys(rsa.generate_private_key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_new_private", jwts)
        patch.setattr(keys, "_import", read_once(keys._import))
        patch.setattr(own_key, "rsa", SimpleNamespace(generate_private_key=saml, RSAPrivateKey=rsa.RSAPrivateKey))
        yield jwts, saml


@pytest.fixture(autouse=True)
def _no_key_twice(_kept_keys: tuple[KeptKeys, ...]) -> None:
    for kept in _kept_keys:
        kept.begin_again()


@pytest.fixture(autouse=True)
def _fresh_configuration() -> Iterator[None]:
    """A rolled-back test leaves a snapshot whose version number comes again with other contents."""
    configuration._snapshot = configuration.Snapshot(-1)
    yield
    configuration._snapshot = configuration.Snapshot(-1)
