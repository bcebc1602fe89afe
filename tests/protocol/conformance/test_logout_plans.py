"""The modules of the Foundation's logout plans: discovery, RP-initiated, back-channel, front-channel, session management."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from sessions_app.protocol.session_state import session_state
from tests.protocol.conformance.parties import Browser, Client, Page, query_of
from tests.support.receiver import Receiver, header_of, wait_until

pytestmark = pytest.mark.once
RPI = "OpenID Connect RP-Initiated Logout 1.0"
BACK = "OpenID Connect Back-Channel Logout 1.0"
FRONT = "OpenID Connect Front-Channel Logout 1.0"
SESSION = "OpenID Connect Session Management 1.0"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
Make = Callable[..., Client]


# --- discovery -------------------------------------------------------------------------------------------------------


@pytest.mark.spec(RPI, "2.1", "R2 end_session_endpoint is in the discovery document")
def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(metadata: dict[str, Any]) -> None:
    assert metadata["end_session_endpoint"].startswith(metadata["issuer"])


@pytest.mark.spec(BACK, "2.1", "B1 both flags are true")
def test_oidcc_backchannel_logout_discovery_endpoint_verification(metadata: dict[str, Any]) -> None:
    assert metadata["backchannel_logout_supported"] is True
    assert metadata["backchannel_logout_session_supported"] is True


@pytest.mark.spec(FRONT, "3", "F3 both flags are true")
def test_oidcc_frontchannel_logout_discovery_endpoint_verification(metadata: dict[str, Any]) -> None:
    assert metadata["frontchannel_logout_supported"] is True
    assert metadata["frontchannel_logout_session_supported"] is True


@pytest.mark.spec(SESSION, "3.3", "S3 check_session_iframe is in the discovery document")
def test_oidcc_session_management_discovery_endpoint_verification(metadata: dict[str, Any]) -> None:
    assert metadata["check_session_iframe"].startswith(metadata["issuer"])


# --- RP-initiated logout ---------------------------------------------------------------------------------------------


@pytest.mark.spec(RPI, "3", "R12 state comes back unchanged")
def test_oidcc_rp_initiated_logout(client: Make) -> None:
    rp = client()
    hint = rp.log_in()["id_token"]
    there = rp.log_out(id_token_hint=hint, post_logout_redirect_uri=rp.after_logout, state="Ab-9._~ &=+")
    assert isinstance(there, str)
    assert there.partition("?")[0] == rp.after_logout
    assert query_of(there) == {"state": "Ab-9._~ &=+"}
    assert not rp.is_signed_in()


def test_oidcc_rp_initiated_logout_by_post(client: Make) -> None:
    """The same by POST, which section 2 demands too; the suite's plan sends GET."""
    rp = client()
    data = {"id_token_hint": rp.log_in()["id_token"], "post_logout_redirect_uri": rp.after_logout}
    assert rp.browser.post(rp.metadata["end_session_endpoint"], data) == rp.after_logout
    assert not rp.is_signed_in()


@pytest.mark.spec(RPI, "3", "R12 no state is added when none was given")
def test_oidcc_rp_initiated_logout_no_state(client: Make) -> None:
    rp = client()
    hint = rp.log_in()["id_token"]
    assert rp.log_out(id_token_hint=hint, post_logout_redirect_uri=rp.after_logout) == rp.after_logout
    assert not rp.is_signed_in()


def refused(page: Page | str) -> bool:
    """An error page of the provider's own, which leads on to signing out."""
    assert isinstance(page, Page), f"redirected to {page}"
    return page.status == 400 and any(link.endswith("/oidc/logout") for link in page.links)


@pytest.mark.spec(RPI, "4", "R11 a hint that is no token: no redirect")
def test_oidcc_rp_initiated_logout_bad_id_token_hint(client: Make) -> None:
    rp = client()
    rp.log_in()
    assert refused(rp.log_out(id_token_hint="this.is.no-token", post_logout_redirect_uri=rp.after_logout, state="x"))
    assert rp.is_signed_in()


@pytest.mark.spec(RPI, "2", "R3 a hint of alg none: no redirect")
def test_oidcc_rp_initiated_logout_modified_id_token_hint(client: Make) -> None:
    rp = client()
    _, payload, _ = rp.log_in()["id_token"].split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    modified = f"{header}.{payload}."
    assert refused(rp.log_out(id_token_hint=modified, post_logout_redirect_uri=rp.after_logout, state="x"))
    assert rp.is_signed_in()


@pytest.mark.spec(RPI, "3", "R9 an unregistered target is not followed")
def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(client: Make) -> None:
    rp = client()
    hint = rp.log_in()["id_token"]
    assert refused(rp.log_out(id_token_hint=hint, post_logout_redirect_uri=f"{rp.after_logout}-other", state="x"))
    assert rp.is_signed_in()


@pytest.mark.spec(RPI, "3", "R9 a registered target with a query added is not followed")
def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(client: Make) -> None:
    rp = client()
    hint = rp.log_in()["id_token"]
    assert refused(rp.log_out(id_token_hint=hint, post_logout_redirect_uri=f"{rp.after_logout}?foo=bar", state="x"))
    assert rp.is_signed_in()


@pytest.mark.spec(RPI, "2", "R7 without a hint the person is asked, and yes signs out")
@pytest.mark.spec(RPI, "3", "R10 without a hint nobody is redirected unless something else vouches for the target")
def test_oidcc_rp_initiated_logout_no_id_token_hint(client: Make) -> None:
    rp = client()
    rp.log_in()
    page = rp.log_out(post_logout_redirect_uri=rp.after_logout, state="x")
    assert asks(page)
    assert rp.is_signed_in()
    assert is_complete(rp.browser.submit(page))
    assert not rp.is_signed_in()


@pytest.mark.spec(RPI, "3", "R10 client_id, the person's yes and a registered target together vouch for it")
def test_oidcc_rp_initiated_logout_no_id_token_hint_but_client_id(client: Make) -> None:
    """Not a module of its own: the redirect that the specification allows."""
    rp = client()
    rp.log_in()
    page = rp.log_out(post_logout_redirect_uri=rp.after_logout, client_id=rp.client_id, state="x")
    assert asks(page)
    assert rp.browser.submit(page) == f"{rp.after_logout}?state=x"
    assert not rp.is_signed_in()


def test_oidcc_rp_initiated_logout_no_params(client: Make) -> None:
    rp = client()
    rp.log_in()
    page = rp.log_out()
    assert asks(page)
    assert is_complete(rp.browser.submit(page))
    assert not rp.is_signed_in()


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(client: Make) -> None:
    rp = client()
    assert is_complete(rp.log_out(id_token_hint=rp.log_in()["id_token"], state="x"))
    assert not rp.is_signed_in()


def test_oidcc_rp_initiated_logout_only_state(client: Make) -> None:
    rp = client()
    rp.log_in()
    page = rp.log_out(state="x")
    assert asks(page)
    assert is_complete(rp.browser.submit(page))
    assert not rp.is_signed_in()


def asks(page: Page | str) -> bool:
    assert isinstance(page, Page), f"redirected to {page}"
    return page.status == 200 and page.buttons == {"logout": "yes"}


def is_complete(page: Page | str) -> bool:
    assert isinstance(page, Page), f"redirected to {page}"
    return page.status == 200 and "You are signed out" in page.text


# --- back-channel logout ---------------------------------------------------------------------------------------------


@pytest.mark.spec(BACK, "2.4", "B4 iss, aud, iat, exp, jti, events and no nonce; sid of the ID token")
@pytest.mark.spec(BACK, "2.5", "B10 POST, form-encoded, logout_token alone")
@pytest.mark.spec(RPI, "3", "R8 the application that asked for the logout is told, too")
def test_oidcc_backchannel_rp_initiated_logout(client: Make, receiver: Receiver) -> None:
    rp = client("back")
    before = len(receiver.posts("back"))
    tokens = rp.log_in()
    # No front channel is in this session, so the suite's browser is redirected at once.
    there = rp.log_out(id_token_hint=tokens["id_token"], post_logout_redirect_uri=rp.after_logout, state="x")
    assert there == f"{rp.after_logout}?state=x"
    wait_until(lambda: len(receiver.posts("back")) > before)
    post = receiver.posts("back")[-1]
    assert post["method"] == "POST"
    assert post["headers"]["content-type"] == "application/x-www-form-urlencoded"
    assert list(post["form"]) == ["logout_token"]
    (raw,) = post["form"]["logout_token"]
    assert header_of(raw)["alg"] == "RS256"
    assert header_of(raw)["typ"] == "logout+jwt"
    claims = rp.verified(raw)
    assert claims["iss"] == rp.metadata["issuer"]
    assert claims["aud"] == rp.client_id
    assert abs(claims["iat"] - time.time()) < 60
    assert 0 < claims["exp"] - claims["iat"] <= 120
    assert claims["jti"]
    assert claims["events"] == {EVENT: {}}
    assert "nonce" not in claims
    assert claims["sid"] == tokens["claims"]["sid"]
    assert claims.get("sub", tokens["claims"]["sub"]) == tokens["claims"]["sub"]
    assert not rp.is_signed_in()
    assert len(receiver.posts("back")) == before + 1


# --- front-channel logout --------------------------------------------------------------------------------------------


@pytest.mark.spec(FRONT, "2", "F2 iss and sid, and nothing else, are added")
@pytest.mark.spec(FRONT, "2", "F4 the page frames every application of the session")
def test_oidcc_frontchannel_rp_initiated_logout(client: Make) -> None:
    rp = client("front")
    tokens = rp.log_in()
    client("basic").log_in()  # without a front channel: not framed
    page = rp.log_out(id_token_hint=tokens["id_token"], post_logout_redirect_uri=rp.after_logout, state="x")
    assert isinstance(page, Page)
    (frame,) = page.frames
    assert frame.partition("?")[0] == rp.after_logout.replace("post_logout_redirect", "frontchannel_logout")
    assert query_of(frame) == {"iss": rp.metadata["issuer"], "sid": tokens["claims"]["sid"]}
    assert f"{rp.after_logout}?state=x" in page.links
    assert not rp.is_signed_in()


# --- session management ----------------------------------------------------------------------------------------------


@pytest.mark.spec(SESSION, "3.1", "S3 unchanged while the session stands, changed after logout")
def test_oidcc_session_management_rp_initiated_logout(client: Make) -> None:
    """What the provider's frame computes is computed here; tests/protocol/session_management runs it in a browser."""
    rp = client()
    value = rp.answer()["session_state"]
    assert " " not in value
    frame = requests.get(rp.metadata["check_session_iframe"], timeout=20)
    assert frame.status_code == 200
    assert "X-Frame-Options" not in frame.headers
    assert is_unchanged(rp, rp.browser, value)
    tokens = rp.log_in()
    assert is_unchanged(rp, rp.browser, value)
    rp.log_out(id_token_hint=tokens["id_token"], post_logout_redirect_uri=rp.after_logout)
    assert not is_unchanged(rp, rp.browser, value)
    silent = rp.answer_at(rp.authorize(prompt="none"))
    assert silent["error"] == "login_required"
    assert is_unchanged(rp, rp.browser, silent["session_state"])


def is_unchanged(rp: Client, browser: Browser, value: str) -> bool:
    (state,) = [cookie.value for cookie in browser.http.cookies if "browser_state" in cookie.name]
    salt = value.rpartition(".")[2]
    expected = session_state(client_id=rp.client_id, redirect_uri=rp.callback, browser_state=str(state), salt=salt)
    return expected == value
