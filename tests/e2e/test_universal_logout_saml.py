"""The same by SAML: the key that signs assertions signs a revocation request, and Mary of that connection is out everywhere."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import RSAKey
from playwright.sync_api import Browser, Page

from tests.e2e import mary
from tests.e2e.test_saml import NAME, choose, configure, introduce, type_password
from tests.e2e.test_universal_logout import wait_until_out
from tests.support.chromium import new_page
from tests.support.stack import Stack
from tests.support.upstreams.simplesaml import SimpleSaml

ISSUER, APPLICATION = "http://www.okta.com/exk1acme", "0oa1acme"


@pytest.fixture
def upstream(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleSaml]:
    running = SimpleSaml(tmp_path_factory.mktemp("saml"))
    options = {"global_token_revocation_jwt_iss": ISSUER, "global_token_revocation_jwt_sub": APPLICATION}
    configure(stack, running, **options)
    introduce(stack, running)
    yield running
    configure(stack, running, enabled=False)
    running.stop()


def revoke(stack: Stack, upstream: SimpleSaml, email: str, **changes: Any) -> int:
    url = f"{stack.issuer}oauth/global-token-revocation/connection/{NAME}"
    now = int(time.time())
    claims = {
        "jti": secrets.token_urlsafe(12),
        "iss": ISSUER,
        "sub": APPLICATION,
        "aud": url,
        "iat": now,
        "nbf": now - 300,
        "exp": now + 300,
    } | changes
    header = {"typ": "global-token-revocation+jwt", "alg": "RS256"}
    token = jwt.encode(header, claims, RSAKey.import_key(upstream.key.private))
    body = {"sub_id": {"format": "email", "email": email}}
    return requests.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code


def sign_in(page: Page, stack: Stack) -> None:
    choose(page, stack)
    type_password(page)
    page.wait_for_url(stack.app(mary.DEBUGGER))
    mary.join(page, stack, mary.SHAREPOINT)


def test_one_request_signed_by_the_assertions_key_signs_mary_out_of_two_apps_in_two_browsers(
    browser: Browser, stack: Stack, upstream: SimpleSaml
) -> None:
    """Mary of the database has the same address, and stays."""
    with new_page(browser) as one, new_page(browser) as two, new_page(browser) as other:
        for page in (one, two):
            sign_in(page, stack)
        mary.sign_in(other, stack, mary.DEBUGGER)
        assert revoke(stack, upstream, mary.MARY, iss="https://acme.okta.example") == 401
        began = time.monotonic()
        assert revoke(stack, upstream, "Mary@FABRIKAMCORP.com") == 204
        wait_until_out([one, two], stack, (mary.DEBUGGER, mary.SHAREPOINT), began)
        assert mary.signed_in_apps(other, stack) == ["JWT Debugger"]
        mary.join(other, stack, mary.SHAREPOINT)
