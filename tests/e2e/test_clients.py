"""The unmodified npm openid-client and PyPI authlib: login, refresh, logout."""

from __future__ import annotations

import json
import os
import re
import subprocess
from html import unescape
from pathlib import Path

import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.e2e import mary
from tests.support.stack import ROOT, Stack

DEBUGGER_ID = "ATqGIGvsX5d9AWiOypgPOEBGkOVbrf55"


def type_password(browser: requests.Session, login: requests.Response, stack: Stack) -> str:
    """Fill in the login page as a person would; where the browser is sent in the end."""
    fields = {
        name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"(?! disabled)', login.text)
    }
    fields |= {"username": mary.MARY, "password": stack.credentials["mary"]}
    headers = {"Origin": stack.issuer.rstrip("/"), "Referer": login.url}
    response = browser.post(login.url, data=fields, headers=headers, allow_redirects=False, timeout=20)
    while not response.headers["Location"].startswith(stack.app(mary.DEBUGGER)):
        target = requests.compat.urljoin(response.url, response.headers["Location"])
        response = browser.get(target, allow_redirects=False, timeout=20)
    return response.headers["Location"]


@pytest.mark.spec("SDK contract", "openid-client", "The unmodified client logs in, refreshes and logs out")
def test_openid_client_logs_in_refreshes_and_logs_out(stack: Stack) -> None:
    home = stack.app(mary.DEBUGGER)
    environment = os.environ | {
        "ISSUER": stack.issuer,
        "CLIENT_ID": DEBUGGER_ID,
        "CLIENT_SECRET": stack.credentials["debugger"],
        "CALLBACK": f"{home}callback",
        "AFTER": f"{home}signed-out",
        "USERNAME": mary.MARY,
        "PASSWORD": stack.credentials["mary"],
    }
    script = Path("tests/e2e/openid_client.mjs")
    done = subprocess.run(["node", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["email"] == mary.MARY
    assert told["sid"] == told["sidAfterRefresh"] == told["sidOfSecond"]
    assert told["logoutStatus"] == 302
    assert told["logoutLocation"] == f"{home}signed-out?state=the-state"
    assert told["promptNone"] == "login_required"
    assert told["refreshAfterLogout"] == "invalid_grant"


@pytest.mark.spec("SDK contract", "authlib", "The unmodified client logs in, refreshes and logs out")
def test_authlib_logs_in_refreshes_and_logs_out(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    home = stack.app(mary.DEBUGGER)
    metadata = requests.get(f"{stack.issuer}.well-known/openid-configuration", timeout=20).json()
    client = OAuth2Session(
        DEBUGGER_ID,
        stack.credentials["debugger"],
        scope="openid email",
        redirect_uri=f"{home}callback",
        code_challenge_method="S256",
    )
    verifier = "v" * 48
    url, state = client.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce="n-0S6_WzA2Mj"
    )
    with requests.Session() as browser:
        answer = type_password(browser, browser.get(url, timeout=20), stack)
        token = client.fetch_token(
            metadata["token_endpoint"], authorization_response=answer, code_verifier=verifier, state=state
        )
        keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=20).json())
        claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
        assert claims["nonce"] == "n-0S6_WzA2Mj"
        assert client.get(metadata["userinfo_endpoint"]).json()["email"] == mary.MARY
        refreshed = client.refresh_token(metadata["token_endpoint"])
        assert refreshed["refresh_token"] != token["refresh_token"]
        assert jwt.decode(refreshed["id_token"], keys, algorithms=["RS256"]).claims["sid"] == claims["sid"]
        query = {"id_token_hint": refreshed["id_token"], "post_logout_redirect_uri": f"{home}signed-out"}
        headers = {"Accept": "*/*"}
        gone = browser.get(
            metadata["end_session_endpoint"], params=query, headers=headers, allow_redirects=False, timeout=20
        )
    assert gone.headers["Location"] == f"{home}signed-out"
    with pytest.raises(OAuthError, match="invalid_grant"):
        client.refresh_token(metadata["token_endpoint"])
