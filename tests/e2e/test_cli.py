"""examples/cli, a native application: loopback redirect, device flow, and access that ends with the session."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import mary
from tests.support.stack import ROOT, Stack


@pytest.fixture(scope="module")
def registered(stack: Stack) -> None:
    stack.run("apply", str(ROOT / "examples/cli/tenant.yaml"))


class Terminal:
    """Runs the program with one file of tokens; the browser is the test's."""

    def __init__(self, stack: Stack, tokens: Path) -> None:
        self.tokens = tokens
        self.environment = os.environ | {"CLI_ISSUER": stack.issuer, "CLI_TOKENS": str(tokens), "BROWSER": "true %s"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "examples.cli.app", *arguments]
        return subprocess.Popen(
            argv, cwd=ROOT, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code, and what it printed."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return process.returncode, (out + err).strip()


@pytest.fixture
def terminal(stack: Stack, registered: None, tmp_path: Path) -> Terminal:
    return Terminal(stack, tmp_path / "tokens.json")


def first_url(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError(process.communicate()[1])


def log_in(terminal: Terminal, page: Page, stack: Stack) -> None:
    """By the browser of the same machine."""
    program = terminal.start("login")
    page.goto(first_url(program, r"with your browser: (\S+)"))
    if page.locator("[name=password]").count():
        mary.type_password(page, stack)
    expect(page.get_by_text("You can close this page")).to_be_visible()
    out, err = program.communicate(timeout=60)
    assert (program.returncode, out.strip(), err) == (0, f"Signed in as {mary.MARY}.", "")


@pytest.mark.spec("RFC 8252", "7.3", "A native application may listen on any loopback port")
def test_it_signs_in_by_loopback_redirect_and_keeps_its_tokens_to_itself(
    terminal: Terminal, page: Page, stack: Stack
) -> None:
    log_in(terminal, page, stack)
    assert terminal.run("whoami") == (0, mary.MARY)
    assert stat.S_IMODE(terminal.tokens.stat().st_mode) == 0o600


@pytest.mark.spec("RFC 8628", "3.3", "The person types the code on another device")
def test_it_signs_in_by_a_code_on_another_device(terminal: Terminal, page: Page, stack: Stack) -> None:
    program = terminal.start("login", "--device")
    code = first_url(program, r"type (\S+)")
    page.goto(f"{stack.issuer}activate")
    mary.type_password(page, stack)
    page.locator("[name=user_code]").fill(code.lower().replace("-", " "))
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Connect Fabrikam CLI?")).to_be_visible()
    page.get_by_role("button", name="Allow", exact=True).click()
    expect(page.get_by_role("heading", name="Fabrikam CLI is connected")).to_be_visible()
    out, _ = program.communicate(timeout=60)
    assert out.strip().endswith(f"Signed in as {mary.MARY}.")
    page.goto(f"{stack.issuer}v2/logout")
    assert terminal.run("whoami") == (1, "Your session has ended: you were signed out.")


def test_a_person_who_says_no_leaves_the_device_outside(terminal: Terminal, page: Page, stack: Stack) -> None:
    program = terminal.start("login", "--device")
    page.goto(first_url(program, r"or open (\S+)"))
    mary.type_password(page, stack)
    page.get_by_role("button", name="Do not allow").click()
    _, err = program.communicate(timeout=60)
    assert program.returncode == 1
    assert "The person did not allow it." in err
    assert not terminal.tokens.exists()


def test_it_loses_access_when_mary_signs_out_in_an_app(terminal: Terminal, page: Page, stack: Stack) -> None:
    """Its refresh token has no offline_access: it is session-bound, and dies at the door with the access token."""
    mary.sign_in(page, stack, mary.TIMESHEET)
    log_in(terminal, page, stack)
    page.goto(stack.app(mary.TIMESHEET))
    mary.click_sign_out(page)
    mary.wait_for_sign_out_page(page)
    assert terminal.run("whoami") == (1, "Your session has ended: you were signed out.")
    assert not terminal.tokens.exists()
    assert terminal.run("whoami") == (1, "You are not signed in.")


def test_its_own_logout_revokes_its_tokens_and_leaves_the_browser_signed_in(
    terminal: Terminal, page: Page, stack: Stack
) -> None:
    log_in(terminal, page, stack)
    stolen = terminal.tokens.read_text()
    assert terminal.run("logout") == (0, "Signed out of this program.")
    terminal.tokens.write_text(stolen)
    assert terminal.run("whoami") == (1, "Your session has ended: you were signed out.")
    mary.join(page, stack, mary.TIMESHEET)
