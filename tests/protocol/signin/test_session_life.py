"""Cookie, session and time: what keeps a session alive and what does not."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone

from idp.http.requests import RequestFacts, facts
from idp.models import TenantSettings
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.middleware import SSOSessionMiddleware
from sessions_app.models import SessionClient, SessionEvent, SSOSession
from sessions_app.session import binding, lifecycle
from tests.support.factories import make_application, make_session, make_user

pytestmark = pytest.mark.django_db
FACTS = RequestFacts("192.0.2.1", "tests")


def request_with(cookie: str, **headers: str):
    request = RequestFactory().get("/", headers=headers)
    request.COOKIES[settings.SSO_COOKIE_NAME] = cookie
    return request


def through_middleware(request, view=lambda request: HttpResponse(str(request.user))):
    return SSOSessionMiddleware(view)(request)


def open_for(user):
    return lifecycle.open_session(
        user,
        connection=user.identities.get().connection,
        identity=user.identities.get(),
        amr=[{"name": "pwd", "timestamp": "2026-01-01T00:00:00+00:00"}],
        facts=FACTS,
        at=timezone.now(),
    )


def test_a_session_is_opened_loaded_and_audited():
    opened = open_for(make_user())

    session = binding.load(request_with(opened.cookie), timezone.now())

    assert session == opened.session
    event = SessionEvent.objects.get()
    assert (event.type, event.sid, event.sub) == ("opened", session.sid, session.user.user_id)
    assert (event.connection, event.ip, event.data) == ("FabrikamAD", "192.0.2.1", {"amr": ["pwd"]})


def test_an_account_that_is_revoked_while_its_session_opens_gets_none():
    """The mark of an account is on no column that a session is judged by; whoever read the row before it loses."""
    user = make_user()
    identity = user.identities.get()
    user.identities.update(revoked_before=timezone.now())
    with pytest.raises(PermissionDenied):
        lifecycle.open_session(
            user, connection=identity.connection, identity=identity, amr=[], facts=FACTS, at=timezone.now()
        )
    assert not SSOSession.objects.exists()
    assert not SessionEvent.objects.exists()
    assert open_for(user).session.pk


def test_a_line_of_the_audit_trail_is_never_changed():
    trail.record(EventType.OPENED, session=make_session(make_user()), at=timezone.now())
    with pytest.raises(TypeError):
        SessionEvent.objects.get().save()


def test_what_a_browser_calls_itself_never_stops_a_sign_in():
    """NUL and lone surrogates must not reach the database."""
    request = RequestFactory().get("/", headers={"User-Agent": "Mozilla\x00 \udcff\x1b5.0 Chromé"})
    assert facts(request).user_agent == "Mozilla 5.0 Chromé"


def test_a_load_is_one_statement_and_none_without_a_cookie(django_assert_num_queries):
    opened = open_for(make_user())
    binding.load(request_with(opened.cookie), timezone.now())  # the snapshot of the tenant is warm from here on
    with django_assert_num_queries(1):
        session = binding.load(request_with(opened.cookie), timezone.now())
        assert session.user.email
        assert session.connection.name
    with django_assert_num_queries(0):
        assert binding.load(RequestFactory().get("/"), timezone.now()) is None


@pytest.mark.spec("Front-Channel Logout 1.0", "2", "F7 sid cannot be guessed")
@pytest.mark.spec("Back-Channel Logout 1.0", "2.4", "B9 sid is opaque, unique, and of the characters of a client id")
def test_a_sid_is_random_and_says_nothing():
    user = make_user()
    sids = [make_session(user).sid for _ in range(200)]
    assert len(set(sids)) == 200
    for sid in sids:
        assert 22 <= len(sid) <= 50  # 128 random bits and more
        assert all("\x20" <= character <= "\x7e" for character in sid)
    for position in range(22):  # no position is a counter, a clock or a mark of the person
        assert len({sid[position] for sid in sids}) > 20


def test_neither_sid_nor_stored_hash_nor_primary_key_is_a_cookie():
    opened = open_for(make_user())
    for value in (opened.session.sid, opened.session.cookie_hash, str(opened.session.pk), "", "x" * 5000, "\ud800"):
        assert binding.load(request_with(value), timezone.now()) is None


def test_a_deleted_row_is_dead_at_the_very_next_request():
    opened = open_for(make_user())
    SSOSession.objects.filter(pk=opened.session.pk).delete()
    assert binding.load(request_with(opened.cookie), timezone.now()) is None


def test_activity_every_minute_does_not_outlive_the_absolute_limit():
    tenant = TenantSettings.objects.get_or_create(pk=1)[0]
    tenant.session_lifetime_in_minutes, tenant.idle_session_lifetime_in_minutes = 30, 5
    tenant.save()
    opened = open_for(make_user())
    at = start = opened.session.created_at
    while session := binding.load(request_with(opened.cookie), at):
        lifecycle.touch(session, FACTS, at)
        at += timedelta(minutes=1)
    assert at - start == timedelta(minutes=30)


def test_a_shortened_lifetime_applies_at_the_next_activity():
    user = make_user()
    long_ago = timezone.now() - timedelta(hours=2)
    session = make_session(user, created_at=long_ago, auth_time=long_ago, last_seen_at=long_ago)
    tenant = TenantSettings.objects.get_or_create(pk=1)[0]
    tenant.idle_session_lifetime_in_minutes = 60
    tenant.save()

    assert binding.load(request_with(session.raw_cookie), timezone.now()) is None
    session.refresh_from_db()
    assert session.idle_expires_at == long_ago + timedelta(minutes=60)  # dead for every other path too


def test_joining_is_recorded_once_and_never_after_the_end():
    session = open_for(make_user()).session
    first, second = make_application(), make_application("SharePoint Intranet")

    assert lifecycle.join(session, first, facts=FACTS, at=timezone.now())
    assert lifecycle.join(session, second, facts=FACTS, at=timezone.now())
    assert not lifecycle.join(session, first, facts=FACTS, at=timezone.now())
    session.refresh_from_db()
    assert session.last_application == first
    assert SessionEvent.objects.filter(type="joined").count() == 2

    SSOSession.objects.update(ended_at=timezone.now(), end_initiator="rp-logout")
    assert not lifecycle.join(session, make_application("Timesheet"), facts=FACTS, at=timezone.now())
    assert SessionClient.objects.count() == 2


def test_a_join_of_the_last_application_costs_no_statement(django_assert_num_queries):
    session = open_for(make_user()).session
    application = make_application()
    lifecycle.join(session, application, facts=FACTS, at=timezone.now())
    with django_assert_num_queries(0):
        lifecycle.join(session, application, facts=FACTS, at=timezone.now())


def test_activity_is_written_at_most_once_a_minute(django_assert_num_queries):
    session = open_for(make_user()).session
    with django_assert_num_queries(0):
        lifecycle.touch(session, FACTS, session.created_at + timedelta(seconds=59))
    at = session.created_at + timedelta(seconds=61)
    lifecycle.touch(session, RequestFacts("192.0.2.9", "other"), at)
    session.refresh_from_db()
    assert (session.last_seen_at, session.last_ip, session.initial_ip) == (at, "192.0.2.9", "192.0.2.1")


@pytest.mark.parametrize(
    ("mode", "view", "touched"),
    [
        ("navigate", lambda request: HttpResponse(str(request.user)), True),
        ("cors", lambda request: HttpResponse(str(request.user)), False),
        ("navigate", binding.passive(lambda request: HttpResponse(str(request.user))), False),
        ("navigate", lambda _: HttpResponse("looked up nothing"), False),
    ],
)
def test_only_visits_prolong_a_session(mode, view, touched):
    seen_at = timezone.now() - timedelta(minutes=5)
    session = make_session(make_user(), last_seen_at=seen_at)

    through_middleware(request_with(session.raw_cookie, **{"Sec-Fetch-Mode": mode}), view)

    session.refresh_from_db()
    assert (session.last_seen_at > seen_at) is touched


def test_the_answer_varies_with_the_cookie_only_if_it_was_looked_at():
    session = make_session(make_user())
    assert through_middleware(request_with(session.raw_cookie))["Vary"] == "Cookie"
    assert "Vary" not in through_middleware(request_with(session.raw_cookie), lambda _: HttpResponse())


def test_a_view_sees_the_session_or_none():
    session = make_session(make_user())
    seen = []

    def view(request):
        seen.append(request.browser.session)
        return HttpResponse()

    through_middleware(request_with(session.raw_cookie), view)
    through_middleware(request_with("unknown"), view)
    assert seen == [session, None]
    assert seen[1] is None


@pytest.mark.parametrize(
    ("persistent", "max_age"), [(True, 168 * 3600), (False, "")], ids=["persistent", "until the browser closes"]
)
def test_the_cookie_is_written_as_the_tenant_wants(persistent, max_age):
    tenant = TenantSettings.objects.get_or_create(pk=1)[0]
    tenant.persistent_session_cookie = persistent
    tenant.save()

    def view(request):
        request.browser.new_cookie = "new-value"
        return HttpResponse()

    morsel = through_middleware(request_with("old"), view).cookies[settings.SSO_COOKIE_NAME]
    assert (morsel.value, morsel["httponly"], morsel["path"], morsel["samesite"]) == ("new-value", True, "/", "Lax")
    assert (morsel["max-age"], morsel["domain"]) == (max_age, "")


@pytest.mark.spec("RFC 6265bis", "4.1.3.2", "A __Host- cookie is Secure, has Path=/ and no Domain")
def test_production_cookies_cannot_be_set_by_a_neighbour(settings):
    settings.HTTPS, settings.SSO_COOKIE_NAME, settings.SSO_COOKIE_SAMESITE = True, "__Host-curfew_sso", "None"
    response = HttpResponse()
    binding.set_cookie(response, "value")
    morsel = response.cookies["__Host-curfew_sso"]
    assert (morsel["secure"], morsel["path"], morsel["domain"], morsel["samesite"]) == (True, "/", "", "None")
    binding.clear_cookie(response)
    morsel = response.cookies["__Host-curfew_sso"]
    assert (morsel.value, morsel["secure"], morsel["path"], morsel["max-age"]) == ("", True, "/", 0)
    names = production_cookie_names()
    assert len(names) >= 4
    assert [name for name in names if not name.startswith("__Host-")] == []


def production_cookie_names() -> list[str]:
    script = "from idp import settings as s; print(*[v for k, v in vars(s).items() if k.endswith('_COOKIE_NAME')])"
    environment = {**os.environ, "ISSUER": "https://id.example.com/", "SECRET_KEY": "x" * 60}
    output = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return output.stdout.split()
