"""Every address of the site map answers everybody, with and without something to show: no error of the server."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from django.http import HttpResponse
from django.test import Client

from idp.models import User
from sessions_app.models import SSOSession
from tests.protocol.pages.conftest import ROLES
from tests.support.factories import browser, make_session
from tests.support.site_map import Rows, addresses

pytestmark = [pytest.mark.django_db, pytest.mark.once]
UNREAD = re.compile(r'class="readonly">\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.+]')  # as Python writes it, not as people do
TELLS_THE_TRUTH = {"/readyz"}  # 503: no worker runs in this test


def get(client: Client, path: str) -> HttpResponse | Exception:
    try:
        return client.get(path, headers={"Accept": "text/html", "Sec-Fetch-Dest": "document"})  # type: ignore[return-value]
    except Exception as error:  # noqa: BLE001  the walk goes on and names all of them
        return error


def values_of(user: User | None) -> dict[str, str]:
    key = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN).first() if user else None
    return {"pk": str(key.pk)} if key else {}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("has_data", [True, False], ids=["with data", "without data"])
def test_no_page_is_an_error_of_the_server(
    role: str, has_data: bool, person_in: Callable[[str], User | None], furnished: Callable[[], Rows]
) -> None:
    rows: Rows = furnished() if has_data else {}
    user, session, wrong = person_in(role), None, {}
    for path in addresses(rows, values_of(user)):
        if user is not None and (session is None or not SSOSession.objects.filter(pk=session.pk, ended_at=None)):
            session = make_session(user)  # the page before signed out
        answer = get(browser(session), path)
        if isinstance(answer, Exception) or (answer.status_code >= 500 and path not in TELLS_THE_TRUTH):
            wrong[path] = repr(answer)
        elif path.startswith("/admin/") and (raw := UNREAD.search(answer.content.decode())):
            wrong[path] = raw[0]
    assert wrong == {}
