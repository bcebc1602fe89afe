"""An OAuth client in a few lines: what an SDK would send, without one."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.crypto import keys
from idp.models import Application
from sessions_app.models import SSOSession
from tests.support.factories import browser

VERIFIER = "a-verifier-of-more-than-forty-three-characters-0123456789"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def request_params(application: Application, **changes: Any) -> dict[str, Any]:
    """A complete authorization request; a change to None leaves the parameter out."""
    params = {
        "client_id": application.client_id,
        "redirect_uri": application.callbacks[0],
        "response_type": "code",
        "scope": "openid profile email",
        "state": "the-state",
        "nonce": "the-nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changes
    return {name: value for name, value in params.items() if value is not None}


def authorize(session: SSOSession | Client | None, application: Application, **changes: Any) -> HttpResponse:
    client = session if isinstance(session, Client) else browser(session)
    return client.get("/authorize", request_params(application, **changes))


def answer_of(response: HttpResponse) -> dict[str, str]:
    """The parameters of a redirect to the application, from query or fragment."""
    assert response.status_code in (302, 303), response.content
    parts = urlsplit(response.headers["Location"])
    return dict(parse_qsl(parts.fragment or parts.query, keep_blank_values=True))


def code_for(session: SSOSession | Client, application: Application, **changes: Any) -> str:
    return answer_of(authorize(session, application, **changes))["code"]


def token(application: Application | None = None, *, as_json: bool = False, **params: Any) -> HttpResponse:
    """POST /oauth/token with the application's own credentials in the body."""
    body = {**(credentials(application) if application else {}), **params}
    body = {name: value for name, value in body.items() if value is not None}
    if as_json:
        return Client().post("/oauth/token", json.dumps(body), content_type="application/json")
    return post_form("/oauth/token", body)


def post_form(path: str, body: dict[str, Any], **kwargs: Any) -> HttpResponse:
    from urllib.parse import urlencode

    return Client().post(path, urlencode(body, doseq=True), content_type="application/x-www-form-urlencoded", **kwargs)


def credentials(application: Application) -> dict[str, str]:
    if application.is_public:
        return {"client_id": application.client_id}
    return {"client_id": application.client_id, "client_secret": application.raw_secret}  # type: ignore[attr-defined]


def exchange(application: Application, code: str, **changes: Any) -> HttpResponse:
    params = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": application.callbacks[0],
        "code_verifier": VERIFIER,
    } | changes
    return token(application, **params)


def refresh(application: Application, refresh_token: str, **changes: Any) -> HttpResponse:
    return token(application, **({"grant_type": "refresh_token", "refresh_token": refresh_token} | changes))


def tokens_for(session: SSOSession | Client, application: Application, **changes: Any) -> dict[str, Any]:
    """The whole way: authorize, exchange; the token answer."""
    response = exchange(application, code_for(session, application, **changes))
    assert response.status_code == 200, response.content
    return response.json()


def userinfo(access_token: str, **kwargs: Any) -> HttpResponse:
    return Client().get("/userinfo", headers={"Authorization": f"Bearer {access_token}"}, **kwargs)


def decode(raw: str) -> dict[str, Any]:
    """The claims of one of our JWTs, after its signature was checked with the published keys."""
    return jwt.decode(raw, KeySet.import_key_set(keys.published()), algorithms=["RS256", "ES256"]).claims


def header_of(raw: str) -> dict[str, Any]:
    head = raw.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))


def issuer() -> str:
    return settings.ISSUER


def next_of(response: HttpResponse) -> str:
    """Where a redirect to the login page wants to come back to."""
    parts = urlsplit(response.headers["Location"])
    assert parts.path == "/login", response.headers["Location"]
    return parse_qs(parts.query)["next"][0]
