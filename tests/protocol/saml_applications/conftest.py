"""An application that speaks SAML: python3-saml as people run it."""

from __future__ import annotations

import pytest

from tests.support.saml_sp import ServiceProvider


@pytest.fixture
def sp(db):
    provider = ServiceProvider()
    provider.application = provider.register()
    provider.knows(provider.application)
    return provider
