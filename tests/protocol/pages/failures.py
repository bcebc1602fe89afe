"""Pages that only a failure shows: ours (500), the database's and the machine's (503), and the authenticator's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from django.db import OperationalError
from playwright.sync_api import expect

from idp.database.postgresql.silence import Silent
from tests.protocol.pages.states import Stage, second_factor
from tests.support.factories import PASSWORD

ASKED = "sessions_app.views.signin.login.offers.offer"
REFUSED = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: Connection refused'  # libpq 17
# What a browser says of a request that somebody cancelled, or that nobody answered, and of a key that is known already:
# WebAuthn Level 2, sections 5.1.3 and 5.1.4.
CANCELLED = 'new DOMException("The operation either timed out or was not allowed.", "NotAllowedError")'
KNOWN = 'new DOMException("The user attempted to register an authenticator that is already registered.", "InvalidStateError")'


def _login_that_raises(at: Stage, error: Exception, status: int) -> None:
    with patch(ASKED, side_effect=error):
        answer = at.page.goto("/login")
    assert answer is not None
    assert answer.status == status


def server_error(at: Stage) -> None:
    _login_that_raises(at, RuntimeError("a mistake of ours"), 500)


def database_away(at: Stage) -> None:
    _login_that_raises(at, OperationalError(REFUSED), 503)


def database_silent(at: Stage) -> None:
    error = OperationalError("consuming input failed: no answer in time")
    error.__cause__ = Silent()
    _login_that_raises(at, error, 503)


def too_busy(at: Stage) -> None:
    with (
        patch("idp.connections.database._hashing", threading.Semaphore(0)),
        patch("idp.connections.database.PATIENCE", 0),
    ):
        _type_password(at, "/login")
        expect(at.page.get_by_text("Too many people are signing in")).to_be_visible()


def passkey_cancelled(at: Stage) -> None:
    _authenticator(at, "get", CANCELLED)
    at.page.goto("/login")
    at.page.get_by_role("button", name="Use a passkey").click()
    expect(at.page.get_by_role("alert")).to_be_visible()


def key_cancelled(at: Stage) -> None:
    _authenticator(at, "get", CANCELLED)
    second_factor(at)
    at.page.get_by_role("button", name="Use a passkey or security key").click()
    expect(at.page.get_by_role("alert")).to_be_visible()


def security_key_not_added(at: Stage) -> None:
    _authenticator(at, "create", CANCELLED)
    _signed_in_by_password(at, "/account/mfa/webauthn/add/")
    at.page.fill("[name=password]", PASSWORD)  # asked for once more before a factor is added
    at.page.press("[name=password]", "Enter")
    at.page.get_by_role("button", name="Add").click()
    expect(at.page.get_by_role("alert")).to_be_visible()


def passkey_not_made(at: Stage) -> None:
    _passkey_that_fails(at, CANCELLED)


def passkey_known(at: Stage) -> None:
    _passkey_that_fails(at, KNOWN)


def no_passkeys_here(at: Stage) -> None:
    at.page.add_init_script("delete window.PublicKeyCredential")
    _signed_in_by_password(at, "/account/passkeys/add/")
    expect(at.page.locator("[data-unsupported]")).to_be_visible()


def _passkey_that_fails(at: Stage, error: str) -> None:
    _authenticator(at, "create", error)
    _signed_in_by_password(at, "/account/passkeys/add/")
    at.page.get_by_role("button", name="Create a passkey").click()
    expect(at.page.get_by_role("alert")).to_be_visible()


def _authenticator(at: Stage, asked_to: str, error: str) -> None:
    at.page.add_init_script(f"navigator.credentials.{asked_to} = () => Promise.reject({error})")


def _signed_in_by_password(at: Stage, path: str) -> None:
    """For pages that ask for a proof of a moment ago."""
    _type_password(at, f"/login?next={path}")
    at.page.wait_for_url(lambda url: urlsplit(url).path.startswith("/account/"))
    at.page.goto(path)


def _type_password(at: Stage, path: str) -> None:
    at.page.goto(path)
    at.page.fill("[name=username]", at.it.adele.email)
    at.page.fill("[name=password]", PASSWORD)
    at.page.press("[name=password]", "Enter")


FAILURES: tuple[Callable[[Any], None], ...] = (
    server_error, database_away, database_silent, too_busy,
    passkey_cancelled, key_cancelled, security_key_not_added, passkey_not_made, passkey_known, no_passkeys_here,
)  # fmt: skip
