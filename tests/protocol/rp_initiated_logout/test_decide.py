"""The decision of /oidc/logout as a table (RP-Initiated Logout 1.0; with Auth0's additions)."""

from __future__ import annotations

import pytest

from idp.protocol.errors import InvalidRequest
from logout_app.protocol.rp_initiated_logout import (
    Current,
    Hint,
    LogoutClient,
    LogoutRequest,
    LogoutStep,
    decide,
    is_federated,
    parse,
)

URI = "https://app.example/out"
TENANT = "https://tenant.example/out"
CLIENTS = {"app": LogoutClient("app", [URI]), "other": LogoutClient("other", ["https://other.example/out"])}
NOW = Current(sid="s1", sub="auth0|mary")
MINE = Hint(("app",), "auth0|mary", "s1")
ELSEWHERE = Hint(("app",), "auth0|mary", "s2")
SOMEBODY = Hint(("app",), "auth0|paul", "s1")
GONE = Hint(("gone",), "auth0|mary", "s1")
TWO = Hint(("app", "other"), "auth0|mary", "s1")

R = LogoutRequest
TABLE = [
    # what                                          request, hint, session -> step, redirect
    ("R7 hint of this session", R(post_logout_redirect_uri=URI), MINE, NOW, LogoutStep.END, URI),
    (
        "R12 state is echoed",
        R(post_logout_redirect_uri=URI, state="x y"),
        MINE,
        NOW,
        LogoutStep.END,
        URI + "?state=x%20y",
    ),
    (
        "R12 empty state is echoed",
        R(post_logout_redirect_uri=URI, state=""),
        MINE,
        NOW,
        LogoutStep.END,
        URI + "?state=",
    ),
    ("no redirect asked", R(state="x"), MINE, NOW, LogoutStep.END, ""),
    ("R6 client_id and hint agree", R(client_id="app", post_logout_redirect_uri=URI), MINE, NOW, LogoutStep.END, URI),
    ("R5 hint of another session asks", R(post_logout_redirect_uri=URI), ELSEWHERE, NOW, LogoutStep.ASK, URI),
    ("R7 hint of another person asks", R(post_logout_redirect_uri=URI), SOMEBODY, NOW, LogoutStep.ASK, URI),
    ("R7 no hint asks", R(client_id="app", post_logout_redirect_uri=URI), None, NOW, LogoutStep.ASK, URI),
    ("no params asks", R(), None, NOW, LogoutStep.ASK, ""),
    ("only state asks, no redirect", R(state="x"), None, NOW, LogoutStep.ASK, ""),
    ("R10 a target that nobody vouches for is dropped", R(post_logout_redirect_uri=URI), None, NOW, LogoutStep.ASK, ""),
    ("R10 the tenant's list vouches", R(post_logout_redirect_uri=TENANT), None, NOW, LogoutStep.ASK, TENANT),
    (
        "logout_hint is the sid",
        R(logout_hint="s1", client_id="app", post_logout_redirect_uri=URI),
        None,
        NOW,
        LogoutStep.END,
        URI,
    ),
    (
        "logout_hint alone: tenant list",
        R(logout_hint="s1", post_logout_redirect_uri=TENANT),
        None,
        NOW,
        LogoutStep.END,
        TENANT,
    ),
    (
        "logout_hint alone: no app list",
        R(logout_hint="s1", post_logout_redirect_uri=URI),
        None,
        NOW,
        LogoutStep.END,
        "",
    ),
    ("logout_hint of another session asks", R(logout_hint="s2", client_id="app"), None, NOW, LogoutStep.ASK, ""),
    ("logout_hint and hint agree", R(logout_hint="s1"), MINE, NOW, LogoutStep.END, ""),
    (
        "R13 nobody signed in: redirect",
        R(post_logout_redirect_uri=URI, state="x"),
        MINE,
        None,
        LogoutStep.NOTHING,
        URI + "?state=x",
    ),
    (
        "nobody signed in, client_id only",
        R(client_id="app", post_logout_redirect_uri=URI),
        None,
        None,
        LogoutStep.NOTHING,
        URI,
    ),
    ("nobody signed in, victim's hint", R(), ELSEWHERE, None, LogoutStep.NOTHING, ""),
    ("hint of an application that is gone", R(post_logout_redirect_uri=TENANT), GONE, NOW, LogoutStep.END, TENANT),
    ("hint for two audiences needs client_id", R(client_id="other"), TWO, NOW, LogoutStep.END, ""),
    ("hint for two audiences names no list", R(post_logout_redirect_uri=URI), TWO, NOW, LogoutStep.END, ""),
]


LOOPBACK = "http://127.0.0.1/out"


@pytest.mark.parametrize(
    ("asked", "registered", "leads"),
    [
        ("http://127.0.0.1:53124/out", LOOPBACK, True),
        ("http://127.0.0.1:53124/out", "http://127.0.0.1:8400/out", True),
        ("http://127.0.0.1/out", "http://127.0.0.1:8400/out", True),
        ("http://[::1]:53124/out", "http://[::1]/out", True),
        ("http://localhost:53124/out", "http://localhost/out", True),
        ("http://localhost:53124/out", "http://localhost:8400/out", False),
        ("http://localhost:53124/out", LOOPBACK, False),
        ("http://127.0.0.1:53124/other", LOOPBACK, False),
        ("http://127.0.0.1:53124/out?x=1", LOOPBACK, False),
        ("http://127.0.0.1.evil.example:1/out", LOOPBACK, False),
        ("http://127.0.0.1:1@evil.example/out", LOOPBACK, False),
        ("http://127.0.0.1:123456/out", LOOPBACK, False),
        ("https://127.0.0.1:53124/out", LOOPBACK, False),
        ("https://app.example:53124/out", URI, False),
    ],
)
@pytest.mark.spec(
    "RFC 8252",
    "7.3",
    "An application on the person's own machine is reached at whatever port it got, also after logout",
)
def test_the_port_of_a_loopback_address_is_free_for_who_may_use_any(asked: str, registered: str, leads: bool) -> None:
    """zitadel/oidc pull request 875, panva/node-oidc-provider issue 663."""
    for any_port in (True, False):
        clients = {"app": LogoutClient("app", [registered], any_port=any_port)}
        request = R(client_id="app", post_logout_redirect_uri=asked)
        if leads and any_port:
            decision = decide(request, hint=MINE, current=NOW, find_client=clients.get)
            assert (decision.step, decision.redirect) == (LogoutStep.END, asked)
        else:
            with pytest.raises(InvalidRequest, match="not registered"):
                decide(request, hint=MINE, current=NOW, find_client=clients.get)


@pytest.mark.parametrize(
    ("what", "request_", "hint", "current", "step", "redirect"), TABLE, ids=[row[0] for row in TABLE]
)
@pytest.mark.spec("rp-initiated", "R4-R13", "Who is asked, what ends, and where the browser goes")
def test_decision(what, request_, hint, current, step, redirect):
    decision = decide(request_, hint=hint, current=current, find_client=CLIENTS.get, tenant_urls=[TENANT])
    assert (decision.step, decision.redirect) == (step, redirect)


REFUSED = [
    ("R6 hint of another application", R(client_id="other"), MINE),
    ("logout_hint and hint disagree", R(logout_hint="s2"), MINE),
    ("unknown application", R(client_id="nobody"), None),
    ("R9 unregistered target", R(post_logout_redirect_uri="https://evil.example/"), MINE),
    ("R9 query added", R(post_logout_redirect_uri=URI + "?x=1"), MINE),
    ("R9 slash added", R(client_id="app", post_logout_redirect_uri=URI + "/"), None),
    ("R9 tenant's list is not the application's", R(client_id="app", post_logout_redirect_uri=TENANT), None),
    ("R9 target of another application", R(post_logout_redirect_uri="https://other.example/out"), MINE),
]


@pytest.mark.parametrize("current", [NOW, None], ids=["signed in", "nobody"])
@pytest.mark.parametrize(("what", "request_", "hint"), REFUSED, ids=[row[0] for row in REFUSED])
@pytest.mark.spec("rp-initiated", "R11", "An error never redirects")
def test_refusal(what, request_, hint, current):
    with pytest.raises(InvalidRequest):
        decide(
            request_, hint=hint, current=current, find_client=CLIENTS.get, tenant_urls=[TENANT], may_skip_question=True
        )


def test_a_tenant_may_switch_the_question_off():
    decision = decide(R(), hint=None, current=NOW, find_client=CLIENTS.get, may_skip_question=True)
    assert decision.step is LogoutStep.END


@pytest.mark.parametrize(
    ("value", "posted", "expected"),
    [
        (None, False, False),
        ("", False, True),
        ("true", False, True),
        ("1", False, True),
        (None, True, False),
        ("", True, True),
        ("true", True, True),
        ("false", True, False),
    ],
)
def test_federated_is_a_presence_in_a_query_and_a_word_in_a_form(value, posted, expected):
    """As Auth0 reads it: SDKs send it without a value."""
    assert is_federated(value, posted=posted) is expected


def test_federated_in_a_form_must_be_true_or_false():
    with pytest.raises(InvalidRequest):
        is_federated("maybe", posted=True)


@pytest.mark.parametrize("name", ["id_token_hint", "logout_hint", "client_id", "post_logout_redirect_uri", "state"])
def test_a_repeated_parameter_is_refused(name):
    with pytest.raises(InvalidRequest, match=name):
        parse({name: ["a", "b"]}, posted=False)


@pytest.mark.parametrize("value", ["a\x00b", "\ud800"])
def test_what_a_database_cannot_hold_is_refused(value):
    with pytest.raises(InvalidRequest):
        parse({"client_id": [value]}, posted=False)


def test_other_parameters_are_ignored():
    assert parse({"auth0Client": ["x", "y"], "display": ["page"]}, posted=False) == LogoutRequest()
