"""The Login Status API: a browser knows whether somebody is signed in here."""

from __future__ import annotations

import pytest

from tests.support.factories import PASSWORD, browser, make_session, make_user

pytestmark = pytest.mark.django_db


def test_an_answer_says_so_exactly_where_it_gives_or_takes_the_cookie() -> None:
    mary = make_user()
    client = browser()
    assert "Set-Login" not in client.get("/login").headers
    signed_in = client.post("/login", {"username": mary.email, "password": PASSWORD})
    assert signed_in.headers["Set-Login"] == "logged-in"
    assert "Set-Login" not in client.get("/account/sessions").headers
    signed_out = browser(make_session(mary)).get("/v2/logout")
    assert signed_out.headers["Set-Login"] == "logged-out"
