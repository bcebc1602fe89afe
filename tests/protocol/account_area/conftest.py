"""Mary at her desk, and an application of somebody else that she allowed something."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from idp.models import Application, User
from sessions_app.models import Consent, SSOSession
from tests.support.factories import PASSWORD, browser, make_application, make_session, make_user
from tests.support.second_factors import proved_two

DESK = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.0"
ALL = {"backchannel_logout_initiators_mode": "all"}


@pytest.fixture
def mary() -> User:
    return make_user(name="Mary Smith", given_name="Mary", family_name="Smith")


@pytest.fixture
def photos() -> Application:
    return make_application(
        "Photo Prints", is_first_party=False, backchannel_logout_uri="https://photos.example/bc", **ALL
    )


@pytest.fixture
def desk(mary: User, photos: Application) -> SSOSession:
    return make_session(mary, photos, last_user_agent=DESK, last_ip="192.0.2.7")


@pytest.fixture
def consent(mary: User, photos: Application) -> Consent:
    scopes = ["openid", "email", "offline_access", "read:albums"]
    return Consent.objects.create(
        user=mary, application=photos, scopes=scopes, granted_at=timezone.now() - timedelta(days=3)
    )


@pytest.fixture
def client(desk: SSOSession) -> Client:
    return browser(desk)


@pytest.fixture
def proved(client: Client) -> Client:
    """Mary proved her password a moment ago, for which allauth's pages of second factors ask, and a second factor before."""
    for session in SSOSession.objects.all():
        proved_two(session)
    client.post("/account/reauthenticate/", {"password": PASSWORD, "next": "/account/"})
    return client
