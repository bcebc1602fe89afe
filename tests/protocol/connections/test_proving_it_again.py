"""Who came from upstream and is asked to prove once more who they are does it upstream; who has a password, by that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from idp.connections.contract import Account
from idp.models import Connection
from sessions_app.models import SSOSession
from tests.support.factories import PASSWORD, browser, make_session, make_user
from tests.support.sign_in import session_of
from tests.support.upstream import come_back, sign_in, state_of

pytestmark = pytest.mark.django_db


def page(response) -> str:
    return response.content.decode()


class TestProvingItAgain:
    """Dangerous acts ask for it; who came from upstream proves it upstream."""

    @pytest.fixture
    def client(self, acme) -> Client:
        client = Client()
        sign_in(client)
        SSOSession.objects.update(auth_time=timezone.now() - timedelta(hours=3))
        return client

    def again(self, client: Client) -> str:
        return state_of(client.get("/account/reauthenticate/", {"next": "/admin/"}))

    def test_the_session_goes_on_with_a_new_auth_time(self, acme, client):
        before = session_of(client)
        acme.account = Account(sub="00u1", upstream_sid="up-2", auth_time=timezone.now())
        response = come_back(client, self.again(client))
        assert response["Location"] == "/admin/"
        after = session_of(client)
        assert acme.wishes[-1].force
        assert (after.sid, after.upstream_sid) == (before.sid, "up-2")
        assert after.cookie_hash != before.cookie_hash
        assert timezone.now() - after.auth_time < timedelta(minutes=1)

    def test_another_account_proves_nothing(self, acme, client):
        acme.account = Account(sub="00u2")
        before = session_of(client)
        response = come_back(client, self.again(client))
        assert response.status_code == 403
        assert "another account" in page(response)
        assert session_of(client).auth_time == before.auth_time
        assert SSOSession.objects.count() == 1

    def test_nobody_signs_in_by_it(self, acme, client):
        state = self.again(client)
        del client.cookies[settings.SSO_COOKIE_NAME]
        assert come_back(client, state).status_code == 403
        assert session_of(client) is None

    def test_an_old_proof_is_asked_for_once_more(self, acme, client):
        acme.account = Account(sub="00u1", auth_time=timezone.now() - timedelta(hours=1))
        sent = come_back(client, self.again(client))
        assert come_back(client, state_of(sent)).status_code == 403


def test_people_with_a_password_prove_it_with_their_password(acme):
    client = browser(make_session(make_user()))
    assert 'name="password"' in page(client.get("/account/reauthenticate/"))


def test_a_password_of_a_closed_connection_proves_nothing_any_more(acme):
    """Of somebody who also comes in another way."""
    mary = make_user()
    Connection.objects.filter(identities__user=mary).update(enabled=False)
    client = browser(make_session(mary, connection=None, identity=None))
    assert client.post("/account/reauthenticate/", {"password": PASSWORD}).status_code == 200
