"""A SAML connection, its scripted identity provider, and the way of an answer to our door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from idp.connections.contract import Account, UpstreamFault
from idp.connections.saml import metadata_cache, options, service
from idp.connections.saml.flow import SamlProtocol
from idp.models import Connection
from idp.protocol.params import Params
from tests.support.factories import make_connection
from tests.support.upstreams.scripted_saml import Answer, ScriptedIdp

ACS = "http://localhost:8000/login/callback/Acme"
REQUEST_ID = "_request-1"


@pytest.fixture(autouse=True)
def _no_cached_metadata() -> Iterator[None]:
    metadata_cache.clear()
    yield
    metadata_cache.clear()


@dataclass
class Way:
    """From an answer of `idp` to an account at `connection`."""

    connection: Connection
    idp: ScriptedIdp
    at: datetime

    def says(self, **changes: Any) -> Answer:
        """The honest answer to our request, but for `changes`."""
        for_us = service.entity_id(self.connection, options.read("samlp", self.connection.options))
        return replace(Answer(ACS, for_us, self.at, in_response_to=REQUEST_ID), **changes)

    def arrive(
        self, encoded: str, *, kept: Mapping[str, Any] | None = None, asked: bool = True, at: datetime | None = None
    ) -> Account:
        kept = kept or ({"request_id": REQUEST_ID} if asked else None)
        answer = Params([("SAMLResponse", encoded), ("RelayState", "state")])
        return SamlProtocol().arrive(self.connection, kept, answer, callback=ACS, at=at or self.at)

    def refused(self, encoded: str, **how: Any) -> str:
        """Why the answer proves nothing."""
        with pytest.raises(UpstreamFault) as raised:
            self.arrive(encoded, **how)
        return raised.value.reason

    def configure(self, **changes: Any) -> None:
        self.connection.options = {**self.connection.options, **changes}
        self.connection.save()


@pytest.fixture
def way(db: None) -> Way:
    idp = ScriptedIdp()
    connection = make_connection("Acme", "samlp", options={"metadataXml": idp.metadata()})
    return Way(connection, idp, timezone.now())
