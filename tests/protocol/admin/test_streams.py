"""Event streams in the admin: made by a superuser who proved it, watched and paused by operators."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from idp.crypto import sealing
from idp.models import ClientGrant
from idp.people.console_roles import OPERATOR
from logout_app.delivery.channels.streams import sealed_for
from logout_app.models import EventStream, LogoutDelivery
from logout_app.protocol.retry import Outcome
from logout_app.protocol.streams import vocabulary as v
from logout_app.streams import look, rules
from sessions_app.models import SessionEvent
from tests.support.event_streams import fed, make_receiver, sent
from tests.support.factories import browser, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]
ADD = "admin:logout_app_outgoingstream_add"


@pytest.fixture(autouse=True)
def _loopback(settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


def superuser(**fields):
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    return browser(make_session(boss, **fields))


def stream(**fields) -> EventStream:
    return EventStream.objects.create(
        **{
            "public_id": "a" * 24,
            "name": "Watcher",
            "endpoint": "http://127.0.0.1:18009/events",
            "audiences": ["watcher"],
            "events": [v.SESSION_REVOKED],
            **fields,
        }
    )


def act(client, row, name, **data):
    return client.post(reverse("admin:logout_app_outgoingstream_act", args=(row.pk, name)), data, follow=True)


@pytest.mark.parametrize(
    ("preset", "endpoint", "audience", "place"),
    [
        ("google", "https://127.0.0.1/set", "https://sharedsignals.googleapis.com", "both"),
        ("okta", "https://127.0.0.1/security/api/v1/security-events", "https://127.0.0.1", "event"),
    ],
)
def test_a_preset_is_what_its_receiver_wants_and_the_header_is_kept_sealed(preset, endpoint, audience, place):
    client = superuser()
    form = {"name": preset, "preset": preset, "endpoint": endpoint, "authorization_header": "Bearer secret"}
    response = client.post(
        reverse(ADD), form | {"algorithm": "ES256", "subject_format": "iss_sub", "subject_place": "sub_id"}
    )
    assert response.status_code == 302, re.findall(r"errorlist[^<]*<li>(.*?)</li>", response.content.decode())
    row = EventStream.objects.get()
    assert (row.audiences, row.subject_place, row.subject_format) == ([audience], place, "email")
    assert row.algorithm == "RS256"
    assert v.SESSION_REVOKED in row.events
    assert sealing.unseal(row.authorization, sealed_for(row, "authorization")) == "Bearer secret"
    line = SessionEvent.objects.get(type="event_stream_changed")
    assert (line.data["change"], line.data["name"]) == ("made", preset)
    page = client.get(reverse("admin:logout_app_outgoingstream_change", args=(row.pk,))).content.decode()
    assert "secret" not in page.split("<main")[-1].split("authorization_header")[0]


def test_a_stream_is_made_by_who_just_proved_it_and_to_where_we_may_send():
    form = {"name": "x", "audiences": "x", "algorithm": "RS256", "subject_format": "email", "subject_place": "sub_id"}
    old = superuser(auth_time=timezone.now() - timedelta(hours=2))
    assert "Prove who you are" in old.post(reverse(ADD), form | {"endpoint": "https://127.0.0.1/"}).content.decode()
    fresh = superuser_again()
    assert (
        "Nothing can be sent there"
        in fresh.post(reverse(ADD), form | {"endpoint": "http://10.0.0.1/"}).content.decode()
    )
    assert not EventStream.objects.exists()


def superuser_again():
    return browser(make_session(make_user("other@fabrikamcorp.com", is_staff=True, is_superuser=True)))


def test_an_operator_pauses_resumes_verifies_and_redelivers_but_makes_and_disables_nothing():
    row, clerk = stream(), make_user("op@elsewhere.example", is_staff=True)
    clerk.groups.add(Group.objects.get(name=OPERATOR.group))
    client = browser(make_session(clerk))
    assert client.get(reverse(ADD)).status_code == 403
    assert act(client, row, "disable").status_code == 403
    act(client, row, "pause")
    EventStream.objects.update(status="disabled", halted=True)  # by an administrator
    act(client, row, "resume")
    assert act(client, row, "enable").status_code == 403
    assert EventStream.objects.get().status == "disabled"
    EventStream.objects.update(status="paused")
    SessionEvent.objects.create(type="ended", sub="auth0|1", sid="1", initiator="rp-logout", actor="user")
    health = look.health(EventStream.objects.get(), timezone.now())
    assert (health.waiting, health.dead) == (2, 0)  # the event, and the word that the stream is paused
    page = client.get(reverse("admin:logout_app_outgoingstream_changelist")).content.decode()
    assert "Paused" in page
    act(client, row, "resume")
    act(client, row, "verify")
    assert len(sent()) == 3
    health = look.health(EventStream.objects.get(), timezone.now())
    assert health.verified_at is not None
    fed()
    sent(Outcome.REFUSED)
    assert look.health(EventStream.objects.get(), timezone.now()).dead == 1
    assert "1 event is sent again" in act(client, row, "redeliver").content.decode()
    assert LogoutDelivery.objects.filter(state="dead").count() == 0


def test_an_administrator_enables_what_one_disabled_but_not_what_a_superuser_took_the_grant_of():
    row = stream(status="disabled", halted=True)
    client = superuser()
    act(client, row, "enable")
    assert EventStream.objects.get().status == "enabled"
    EventStream.objects.update(status="disabled", application=make_receiver())
    ClientGrant.objects.all().delete()
    assert "nothing left to do" in act(client, row, "enable").content.decode()
    assert EventStream.objects.get().status == "disabled"


def test_the_secret_of_a_webhook_is_shown_once():
    client = superuser()
    response = client.post(
        reverse("admin:logout_app_webhook_add"),
        {"name": "SIEM", "endpoint": "https://127.0.0.1/hook", "events": "opened\nended", "body_format": "lines"},
    )
    secret = re.search(r"whsec_[\w-]+", response.content.decode()).group()
    row = EventStream.objects.get()
    assert (row.kind, row.events) == ("webhook", ["opened", "ended"])
    assert sealing.unseal(row.secret, sealed_for(row, "secret")) == secret
    page = client.get(reverse("admin:logout_app_webhook_change", args=(row.pk,))).content.decode()
    assert secret not in page
    assert client.get(reverse("admin:logout_app_outgoingstream_change", args=(row.pk,))).status_code == 302


def test_no_more_are_made_than_a_worker_can_look_at(monkeypatch):
    monkeypatch.setattr(rules, "MOST", 1)
    stream()
    form = {"name": "x", "endpoint": "https://127.0.0.1/", "audiences": "x", "algorithm": "RS256"}
    more = superuser().post(reverse(ADD), form | {"subject_format": "email", "subject_place": "sub_id"})
    assert "There are 1 of them" in more.content.decode()
    assert EventStream.objects.count() == 1


def test_what_authorizes_pushes_goes_to_no_other_host():
    client, row = superuser(), stream()
    row.authorization = sealing.seal("Bearer secret", sealed_for(row, "authorization"))
    row.save()
    url = reverse("admin:logout_app_outgoingstream_change", args=(row.pk,))
    form = {"name": "x", "audiences": "x", "algorithm": "RS256", "subject_format": "email", "subject_place": "sub_id"}
    elsewhere = form | {"endpoint": "http://127.0.0.1:18010/events"}
    assert "say it anew" in client.post(url, elsewhere).content.decode()
    assert client.post(url, form | {"endpoint": "http://127.0.0.1:18009/other"}).status_code == 302
    assert client.post(url, elsewhere | {"authorization_header": "Bearer new"}).status_code == 302
    row.refresh_from_db()
    assert sealing.unseal(row.authorization, sealed_for(row, "authorization")) == "Bearer new"
