"""Every page of the site map for every role in a real browser, with the page's own policy: nothing on its console, nothing that
axe finds, nothing beside a telephone's screen; in the light and in the dark (`tests/support/looking.py` keeps pictures).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client
from playwright.sync_api import Browser, Page

from idp.models import User
from idp.protocol.opaque import digest
from sessions_app.models import SSOSession
from tests.protocol.pages import failures, passed_over, states
from tests.protocol.pages.test_site_map import get, values_of
from tests.support import fabrikam, second_factors
from tests.support.chromium import chromium, visited
from tests.support.factories import PASSWORD, browser, make_session, make_user
from tests.support.looking import WIDE, look
from tests.support.pages import listen, page_of
from tests.support.site_map import addresses

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
ROLES = ("visitor", "person", "second factor", "Auditors", "Operators", "Configurators", "superuser")
TAG = re.compile(rb"<[a-z][^<>]*>")
# What elements of one make differ by: whom they are about.
PARTICULAR = re.compile(
    rb" (?:id|name|for|value|href|src|action|title|datetime|content|data-[a-z-]+|aria-(?:describedby|labelledby|label)|"
    rb'placeholder|maxlength|selected|checked)(?:="[^"]*")?|field-\w+|column-\w+'
)
FRAMES = {"/oidc/check-session"}  # no page for people: applications put it into a frame that nobody sees
ITS_OWN_STATUS = "Failed to load resource: the server responded with a status of 4"
ITS_OWN_FAILURE = "Failed to load resource: the server responded with a status of 5"


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def seen() -> set[frozenset[bytes]]:
    """What the pages that were looked at are made of: a page of the same make needs no second look."""
    return set()


@pytest.mark.parametrize("role", ROLES)
def test_everybody_can_read_every_page(
    role: str, chrome: Browser, seen: set[frozenset[bytes]], live_server: Any
) -> None:
    it = fabrikam.build()
    user = somebody(role)
    paths = addresses(it.rows, values_of(user))
    if role == "superuser":
        paths = [path for path in [*it.admin(), *paths] if path.startswith("/admin/") and "/999999/" not in path]
    elif user and user.is_staff:
        paths = it.of_each_role()
    paths, led = new_pages(paths, user, seen)
    if role in ("visitor", "person", "second factor", "superuser"):  # the others' paths are chosen
        assert passed_over.unlisted(role, led) == []
    found: dict[str, list[str]] = {}
    with page_of(chrome, live_server, viewport=WIDE) as (page, complaints):
        for path in paths:
            sign_in(page, user, live_server.url)
            page.goto(path)
            problems = [line for line in complaints if ITS_OWN_STATUS not in line]
            problems += [] if path in FRAMES else look(page, f"{role}{path}")
            if problems:
                found[path] = problems
            complaints.clear()  # of axe's own styles, which the policy forbids
    assert paths
    assert not found, "\n".join(f"{path}: {line}" for path, lines in found.items() for line in lines)


def test_everybody_can_read_what_only_a_state_shows(chrome: Browser, live_server: Any) -> None:
    it = fabrikam.build()
    found: dict[str, list[str]] = {}
    browser().get(
        "/login"
    )  # Django loads what it needs for a page, which a slow machine does not do in a browser's patience
    with page_of(chrome, live_server, viewport=WIDE) as (first, _):
        for prepare in (*states.STATES, *failures.FAILURES):
            expected = ITS_OWN_FAILURE if prepare in failures.FAILURES else ITS_OWN_STATUS
            # without cookies; what styles and scripts are the browser knows already
            with visited(first.context) as context:
                page = context.new_page()
                complaints = listen(page)
                prepare(states.Stage(page, it, live_server.url))
                problems = [line for line in complaints if expected not in line]
                if problems := [*problems, *look(page, f"state_{prepare.__name__}")]:
                    found[prepare.__name__] = problems
    assert not found, "\n".join(f"{path}: {line}" for path, lines in found.items() for line in lines)


def somebody(role: str) -> User | None:
    if role == "visitor":
        return None
    is_staff = role not in ("person", "second factor")
    user = make_user("role@fabrikamcorp.com", is_staff=is_staff, is_superuser=role == "superuser")
    if role == "second factor":
        second_factors.give_all(user)
    if is_staff and role != "superuser":
        user.groups.add(Group.objects.get(name=role))
    return user


def new_pages(paths: list[str], user: User | None, seen: set[frozenset[bytes]]) -> tuple[list[str], dict[str, str]]:
    """The paths that answer with a page made of other elements than any that was looked at; and those that only lead
    elsewhere, with where.
    """
    client, found, led = browser(), [], {}
    for path in paths:
        if user is not None and not is_signed_in(client, user):
            client = signed_in(user)  # the page before signed out
        answer = get(client, path)
        assert not isinstance(answer, Exception), path
        if 300 <= answer.status_code < 400:
            led[path] = answer["Location"]
            continue
        if not answer["Content-Type"].startswith("text/html"):
            continue
        content = answer.content
        if path.startswith("/admin/"):  # the menu beside it is the start page's, and differs with what one may do
            content = content.partition(b'<div id="content"')[2]
        made_of = frozenset(TAG.findall(PARTICULAR.sub(b"", content)))
        if made_of not in seen:
            found.append(path)
        seen.add(made_of)
    return found, led


def signed_in(user: User) -> Client:
    """As somebody who proved a moment ago, by all that they have, that it is them: so every page is open that may be."""
    session = make_session(user, last_user_agent=fabrikam.FIREFOX, last_ip="203.0.113.7")
    if user.authenticator_set.exists():
        second_factors.proved_two(session)
    client = browser(session)
    client.post("/account/reauthenticate/", {"password": PASSWORD, "next": "/account/"})
    return client


def is_signed_in(client: Client, user: User) -> bool:
    cookie = client.cookies.get(settings.SSO_COOKIE_NAME)
    hashed = digest(cookie.value) if cookie else ""
    return SSOSession.objects.filter(user=user, ended_at=None, cookie_hash=hashed).exists()


def sign_in(page: Page, user: User | None, url: str) -> None:
    """Unless the page before signed out."""
    client = getattr(page, "client", browser())
    if user is None or is_signed_in(client, user):
        return
    page.client = client = signed_in(user)  # type: ignore[attr-defined]
    page.context.add_cookies([{"name": one.key, "value": one.value, "url": url} for one in client.cookies.values()])
