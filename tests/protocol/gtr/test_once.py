"""A token is good for once."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from idp.models import SpentToken
from logout_app.gtr import revocation
from logout_app.models import LogoutEvent
from tests.protocol.gtr.support import DRAFT, Okta, assert_refused, lives, make_federated_user
from tests.support.factories import make_connection
from tests.support.upstreams.scripted_oidc import CLIENT

pytestmark = pytest.mark.django_db


@pytest.mark.spec(DRAFT, "Okta's profile", "a token is good for once; two tokens are two requests with one effect")
def test_the_same_token_twice_is_refused_and_another_one_is_not(okta, session):
    token = okta.token()
    assert okta.post(okta.subject_of("00uann"), token).status_code == 204
    assert_refused(okta.post(okta.subject_of("00uann"), token))
    assert okta.revoke("00uann").status_code == 204
    assert LogoutEvent.objects.count() == 1
    assert SpentToken.objects.filter(kind="gtr").count() == 2


def test_the_same_jti_of_another_connection_is_another_token(okta, ann):
    other = make_connection("acme-other", "okta", options=okta.connection.options)
    make_federated_user(other, "00uann", "ann@acme.example")
    second = Okta(okta.issuer, CLIENT, other, okta.key)
    assert okta.revoke("00uann", jti="the same").status_code == 204
    assert second.revoke("00uann", jti="the same").status_code == 204
    assert_refused(second.revoke("00uann", jti="the same"))


def test_a_token_is_spent_only_if_the_person_is_signed_out(okta, session, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("the disk is full")

    token = okta.token()
    with monkeypatch.context() as patched:
        patched.setattr(revocation, "end_sessions", fail)
        client = Client(raise_request_exception=False)
        headers = {"Authorization": f"Bearer {token}"}
        raw = json.dumps(okta.subject_of("00uann"))
        assert client.post(okta.path, raw, content_type="application/json", headers=headers).status_code == 500
    assert lives(session)
    assert okta.post(okta.subject_of("00uann"), token).status_code == 204
