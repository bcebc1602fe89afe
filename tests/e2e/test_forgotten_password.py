"""A person who forgot the password, from the login page to the new one: scheduler, worker and mail included."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.receiver import wait_until
from tests.support.stack import Stack

LINK = re.compile(r"http://localhost:\d+/account/password/reset/key/[\w-]+/")


@pytest.mark.both
def test_a_forgotten_password_is_replaced_by_the_link_of_a_mail(stack: Stack, page: Page) -> None:
    stack.run("apply", str(_with_pat(stack)))
    page.goto(f"{stack.issuer}account/password/reset/")
    page.locator("[name=email]").fill("pat@fabrikamcorp.com")
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/account/password/reset/done/")

    wait_until(lambda: bool(links(stack)), 40, "no mail was sent")
    page.goto(links(stack)[-1])
    page.locator("[name=password1]").fill("fuchsia otter volcano")
    page.locator("[name=password2]").fill("fuchsia otter volcano")
    page.locator("main button.button-primary").click()
    page.wait_for_url("**/account/password/reset/key/done/")

    page.goto(f"{stack.issuer}login")
    page.locator("[name=username]").fill("pat@fabrikamcorp.com")
    page.locator("[name=password]").fill("fuchsia otter volcano")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("pat@fabrikamcorp.com").first).to_be_visible()


def links(stack: Stack) -> list[str]:
    """Those in the mails that the worker wrote to its log, as the console is the mail server here."""
    return [link for log in stack.data.glob("*.log") for link in LINK.findall(log.read_text())]


def _with_pat(stack: Stack) -> Path:
    file = stack.data / "pat.yaml"
    person = "{connection: FabrikamAD, email: pat@fabrikamcorp.com, password: the old one of Pat}"
    file.write_text(f"users:\n  - {person}\n")
    return file
