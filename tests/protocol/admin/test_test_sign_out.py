"""*Send a test sign-out*: the real token by the real transport, about nobody, and what came back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.crypto import keys
from idp.models import Application
from logout_app.models import DeliveryAttempt, DeliveryTally, LogoutDelivery, LogoutEvent
from tests.protocol.admin.conftest import clerk_with
from tests.support.factories import make_application
from tests.support.receiver import Receiver, header_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver(tmp_path: Path, settings: Any) -> Iterator[Receiver]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8", "::1/128"]
    settings.DELIVERY_TIMEOUT = 5
    keys.ensure()
    with Receiver(tmp_path) as running:
        yield running


def send(admin: Client, application: Application) -> str:
    url = reverse("admin:idp_application_act", args=(application.pk, "test-sign-out"))
    assert "Nobody is signed out" in admin.get(url).content.decode()
    response = admin.post(url)
    assert response.status_code == 200
    return str(response.content.decode())


def test_the_application_gets_a_genuine_token_about_nobody(admin: Client, receiver: Receiver) -> None:
    application = make_application(backchannel_logout_uri=receiver.url("out"))
    page = send(admin, application)
    assert "It took the logout token and answered 200" in page
    (post,) = receiver.posts("out")
    token = post["form"]["logout_token"][0]
    claims = jwt.decode(token, KeySet.import_key_set(keys.published()), algorithms=["RS256"]).claims
    assert claims["jti"] in page
    assert claims["sid"] in page
    assert claims["sub"].startswith("test|")
    assert claims["aud"] == application.client_id
    assert header_of(token)["typ"] == "logout+jwt"


def test_it_leaves_no_trace_among_sign_outs(admin: Client, receiver: Receiver) -> None:
    send(admin, make_application(backchannel_logout_uri=receiver.url("out")))
    for table in (LogoutEvent, LogoutDelivery, DeliveryAttempt, DeliveryTally):
        assert not table.objects.exists(), table


@pytest.mark.parametrize(
    ("behaviour", "said", "came"),
    [
        ("400:unknown issuer", "refuses a genuine logout token with 400", "unknown issuer"),
        ("503", "It answered 503, which confirms nothing. A real sign-out would be tried again", "503"),
        ("404", "It answered 404, which confirms nothing", "404"),
        ("302:https://elsewhere.example/", "It answered 302, which confirms nothing", "redirect"),
        ("reset", "There was no answer", "reset"),
    ],
)
def test_it_says_what_came_back(admin: Client, receiver: Receiver, behaviour: str, said: str, came: str) -> None:
    receiver.behave(out=behaviour)
    page = send(admin, make_application(backchannel_logout_uri=receiver.url("out")))
    assert said in page
    assert came in page.partition("Came back")[2]


def test_nothing_is_sent_where_nothing_may_go_or_would_be_sent(
    admin: Client, receiver: Receiver, settings: Any
) -> None:
    deaf = make_application(
        "Deaf",
        backchannel_logout_uri=receiver.url("deaf"),
        backchannel_logout_initiators_mode="custom",
        backchannel_logout_initiators=[],
    )
    off = make_application("Off", backchannel_logout_uri=receiver.url("off"), enabled=False)
    inside = make_application("Inside", backchannel_logout_uri="http://10.1.2.3/out")
    assert "Nothing was sent: the application does not hear of" in send(admin, deaf)
    assert "Nothing was sent: the application is disabled" in send(admin, off)
    assert "blocked" in send(admin, inside)
    assert receiver.posts() == []


def test_a_revocation_endpoint_is_asked_too(admin: Client, receiver: Receiver) -> None:
    receiver.behave(gtr="404")
    page = send(admin, make_application(global_token_revocation_uri=receiver.url("gtr")))
    assert "It answers 404: either it does not know the person" in page
    assert len(receiver.posts("gtr")) == 1


def test_who_may_only_look_sends_nothing(receiver: Receiver) -> None:
    application = make_application(backchannel_logout_uri=receiver.url("out"))
    clerk = clerk_with("view_application")
    url = reverse("admin:idp_application_act", args=(application.pk, "test-sign-out"))
    assert clerk.get(url).status_code == clerk.post(url).status_code == 403
    page = clerk.get(reverse("admin:idp_application_change", args=(application.pk,))).content.decode()
    assert url not in page
    assert receiver.posts() == []


def test_without_an_address_there_is_nothing_to_send(admin: Client) -> None:
    application = make_application()
    page = admin.get(reverse("admin:idp_application_change", args=(application.pk,))).content.decode()
    assert "Send a test sign-out" not in page
