"""What the tests of people who come by a mail share."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from idp.models import Connection
from sessions_app.tasks import send_mails
from tests.support.factories import make_connection
from tests.support.sign_in import TOKEN, csrf_client

GOOD = "fuchsia otter volcano"


@pytest.fixture
def staff() -> Connection:
    return make_connection("Staff")


def delivered(mailoutbox: list[Any]) -> Any:
    """The one mail that the worker sends now."""
    before = len(mailoutbox)
    send_mails()
    assert len(mailoutbox) == before + 1, [message.subject for message in mailoutbox]
    return mailoutbox[-1]


def link_in(message: Any) -> str:
    return re.search(r"http://localhost:8000(/(?:invitation|signup|login|account)\S*/key/\S+)", message.body)[1]  # type: ignore[index]


def send_form(client: Client, path: str, **data: str) -> Any:
    """Open the page as a browser does, then send its form."""
    page = client.get(path, follow=True)
    token = TOKEN.search(page.content.decode())
    assert token, f"{path} answered {page.status_code} without a form"
    return client.post(page.request["PATH_INFO"], {"csrfmiddlewaretoken": token[1], **data})


def new_browser(**at: str) -> Client:
    return csrf_client(**at)
