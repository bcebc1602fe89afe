"""What a request must look like."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from tests.protocol.gtr.support import DRAFT, assert_refused, lives, make_federated_user
from tests.support.factories import make_session
from tests.support.upstreams.scripted_oidc import rsa_key

pytestmark = pytest.mark.django_db


@pytest.mark.spec(DRAFT, "Revocation Request", "POST only")
@pytest.mark.parametrize("method", ["get", "put", "head", "delete", "options", "patch"])
def test_only_post_is_allowed(okta, session, method):
    headers = {"Authorization": f"Bearer {okta.token()}", "Origin": "https://evil.example"}
    response = getattr(Client(), method)(okta.path, headers=headers)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert not any(name.startswith("Access-Control") for name in response.headers)
    assert lives(session)


@pytest.mark.spec(DRAFT, "Revocation Request", "the body is JSON")
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/jwt", ""])
def test_another_content_type_is_415(okta, session, content_type):
    raw = json.dumps(okta.subject_of("00uann"))
    headers = {"Authorization": f"Bearer {okta.token()}"}
    response = Client().post(okta.path, raw, content_type=content_type, headers=headers)
    assert_refused(response, 415)
    assert lives(session)


def test_a_charset_is_no_other_content_type(okta, ann):
    raw = json.dumps(okta.subject_of("00uann"))
    headers = {"Authorization": f"Bearer {okta.token()}"}
    response = Client().post(okta.path, raw, content_type="application/json; charset=utf-8", headers=headers)
    assert response.status_code == 204


def test_what_is_too_long_is_not_read(okta, session):
    assert_refused(okta.post(b'{"sub_id":"' + b"x" * 10_000_000), 413)
    assert_refused(okta.post(okta.subject_of("00uann"), okta.token(padding="x" * 9000)))
    assert lives(session)


@pytest.mark.parametrize(
    "body",
    [b" ", b"[]", b"null", b"[" * 16_000, {"sub_id": {"format": "did", "url": "did:x:1"}}, {"sub_id": {"format": 7}}],
)
@pytest.mark.spec(DRAFT, "Revocation Response", "400 for what is malformed or of an unknown format")
def test_a_body_that_names_nobody_is_400_and_spends_no_token(okta, session, body):
    token = okta.token()
    assert_refused(okta.post(body, token), 400)
    assert lives(session)
    assert okta.post(okta.subject_of("00uann"), token).status_code == 204


@pytest.mark.parametrize("sub", ["a\u0000b", "\ud800", "x" * 5000])
def test_text_that_no_database_keeps_is_400(okta, session, sub):
    assert_refused(okta.post(okta.subject_of(sub)), 400)
    assert lives(session)


def test_who_may_ask_is_answered_before_what_is_asked(okta):
    assert_refused(okta.post(b"[]", okta.token(key=rsa_key("attacker"))), 401)


@pytest.mark.spec(DRAFT, "Revocation Request", "subject, as it was called before draft -03")
def test_the_older_name_of_the_subject_is_understood_but_not_both_that_differ(okta, session, connection):
    ben = make_session(make_federated_user(connection, "00uben", "ben@acme.example"))
    one, two = okta.subject_of("00uann")["sub_id"], okta.subject_of("00uben")["sub_id"]
    assert_refused(okta.post({"sub_id": one, "subject": two}), 400)
    duplicate = f'{{"sub_id":{json.dumps(one)},"sub_id":{json.dumps(two)}}}'
    assert_refused(okta.post(duplicate), 400)
    assert lives(session, ben)
    assert okta.post({"subject": one}).status_code == 204
    assert not lives(session)
    assert lives(ben)
