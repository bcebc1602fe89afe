"""Security keys are managed in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, expect

from idp.models import User
from tests.support import second_factors
from tests.support.chromium import chromium
from tests.support.factories import PASSWORD, make_session
from tests.support.pages import page_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def test_security_keys_can_be_managed(
    chrome: Browser, live_server: Any, person_in: Callable[[str], User | None], client: Client
) -> None:
    session = make_session(person_in("second factor"))
    second_factors.proved_two(session)  # as whoever manages factors has to
    with page_of(chrome, live_server, session) as (page, complaints):
        page.goto("/account/mfa/")
        page.get_by_role("link", name="Manage").click()
        expect(page.locator(".key-row")).to_contain_text("Key ring")
        page.get_by_role("link", name="Rename").click()
        page.get_by_label("Password").fill(PASSWORD)  # before something dangerous
        page.get_by_role("button", name="Confirm").click()
        page.get_by_label("Name").fill("Bureau key")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".key-row")).to_contain_text("Bureau key")
        page.get_by_role("link", name="Remove").click()
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_text("You have none yet.")).to_be_visible()
        assert complaints == []
