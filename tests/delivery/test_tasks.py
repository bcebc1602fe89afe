"""What beat asks for: expiry through the door, and the purge of old history."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.conf import settings
from django.utils import timezone

from idp import tasks as _of_idp  # noqa: F401  each app's tasks are told of when they are read
from idp.models import LimiterSlot, SpentToken, TenantSettings
from idp.processes import places
from logout_app import tasks
from logout_app.models import DeliveryAttempt, LogoutDelivery, LogoutEvent
from sessions_app import tasks as _of_sessions  # noqa: F401
from sessions_app.models import AccessToken, AuthorizationCode, RefreshToken, RefreshTokenFamily, SSOSession
from sessions_app.session import batches
from tests.delivery.conftest import running, sign_in, sign_out
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

YEAR = timedelta(days=365)


def test_sessions_past_their_limits_end_through_the_door_and_their_applications_hear_of_it(application, receiver):
    app = application(backchannel_logout_initiators_mode="all")
    now = timezone.now()
    idle, absolute, live = sign_in(app), sign_in(app), sign_in(app)
    SSOSession.objects.filter(pk=idle.pk).update(idle_expires_at=now - timedelta(seconds=1))
    SSOSession.objects.filter(pk=absolute.pk).update(expires_at=now - timedelta(seconds=1))
    with running():
        tasks.expire_sessions()
        wait_until(lambda: LogoutDelivery.objects.filter(state="delivered").count() == 2)
    assert {token["sid"] for token in receiver.tokens()} == {idle.sid, absolute.sid}
    assert SSOSession.objects.get(pk=live.pk).ended_at is None
    assert set(SSOSession.objects.exclude(pk=live.pk).values_list("end_initiator", flat=True)) == {"session-expired"}


def test_expiry_ends_more_than_one_batch(application, monkeypatch):
    monkeypatch.setattr(tasks, "EXPIRY_BATCH", 2)
    sessions = [sign_in(application()) if n == 0 else sign_in() for n in range(5)]
    SSOSession.objects.filter(pk__in=[s.pk for s in sessions]).update(expires_at=timezone.now())
    tasks.expire_sessions()
    assert not SSOSession.objects.filter(ended_at=None).exists()


def test_a_batch_that_is_out_of_time_leaves_the_rest_to_the_next_run():
    calls = []
    assert tasks.until_done(lambda: calls.append(1) or 2, 0.0, 2) == 0
    assert not calls


def test_tasks_that_may_keep_a_thread_for_minutes_are_kept_from_the_last_one():
    """A purge that is behind takes nine of ten minutes, jobs one turn after another, and others as long as somebody takes to answer."""
    assert {name for name, entry in settings.CELERY_BEAT_SCHEDULE.items() if entry["task"] in places.names} == {
        *("purge history", "run jobs"),
        *("refresh SAML", "test connections", "watch upstreams", "poll signals", "end leavers"),
    }


def test_a_long_task_that_finds_no_place_has_that_of_the_next_one_that_ends():
    here, done = places.Places(2), []

    def act(name: str, *meanwhile: str, fails: bool = False) -> None:
        for other in meanwhile:
            here.run(other, partial(act, other, fails=other == "purge"), waits=other != "poll")
        done.append(name)
        if fails:
            raise RuntimeError

    here.run(
        "saml",
        partial(here.run, "jobs", partial(act, "jobs", "purge", "saml", "poll", "leavers"), waits=False),
        waits=True,
    )
    assert done == ["jobs", "purge", "leavers"], "poll comes again soon, saml is under way"
    assert not here._held


def test_a_long_task_that_ends_with_its_thread_gives_the_place_back_that_it_waited_for():
    here, done = places.Places(1), []

    def exits() -> None:
        done.append("exits")
        raise SystemExit

    with pytest.raises(SystemExit):
        here.run("first", partial(here.run, "exits", exits, waits=True), waits=True)
    with pytest.raises(SystemExit):
        here.run("exits", exits, waits=True)
    assert done == ["exits", "exits"]


def test_a_long_task_that_fails_gives_its_place_back(monkeypatch):
    monkeypatch.setattr(tasks.purging, "run", lambda *_, **__: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            tasks.purge_history()


def test_the_purge_removes_old_history_and_keeps_recent_history(application):
    app = application()
    old, recent = sign_in(app), sign_in(app)
    with running():
        sign_out(old)
        sign_out(recent)
        wait_until(lambda: LogoutDelivery.objects.filter(state="delivered").count() == 2)
    before = timezone.now() - YEAR
    SSOSession.objects.filter(pk=old.pk).update(ended_at=before)
    LogoutDelivery.objects.filter(session=old).update(finished_at=before)
    LogoutEvent.objects.filter(deliveries__session=old).update(at=before)
    tasks.purge_history()
    assert list(SSOSession.objects.all()) == [recent]
    assert list(LogoutDelivery.objects.values_list("session", flat=True)) == [recent.pk]
    assert DeliveryAttempt.objects.count() == LogoutEvent.objects.count() == 1


def test_the_purge_keeps_deliveries_that_still_wait(application):
    sign_out(sign_in(application()), at=timezone.now() - YEAR)
    tasks.purge_history()
    assert LogoutDelivery.objects.filter(state="pending").count() == 1
    assert LogoutEvent.objects.count() == 1


def test_the_retention_is_the_tenants(application):
    session = sign_in(application())
    SSOSession.objects.filter(pk=session.pk).update(
        ended_at=timezone.now() - timedelta(days=40), end_initiator="rp-logout"
    )
    tasks.purge_history()
    assert SSOSession.objects.exists()
    tenant = TenantSettings.objects.get_or_create(pk=1)[0]
    tenant.history_retention_days = 30
    tenant.legal_hold = "Case 7"
    tenant.save()
    tasks.purge_history()
    assert SSOSession.objects.exists()
    tenant.refresh_from_db()
    tenant.legal_hold = ""
    tenant.save()
    tasks.purge_history()
    assert not SSOSession.objects.exists()


def make_family(session: SSOSession, **fields) -> RefreshTokenFamily:
    app = session.last_application
    code = AuthorizationCode.objects.create(
        session=session,
        user=session.user,
        application=app,
        code=f"{session.sid}-{fields}",
        expires=timezone.now() - YEAR,
    )
    family = RefreshTokenFamily.objects.create(
        user=session.user, application=app, session=session, code=code, auth_time=session.auth_time, **fields
    )
    RefreshToken.objects.create(user=session.user, application=app, token=f"t{family.pk}", family=family)
    return family


def test_the_purge_never_takes_a_family_that_lives_nor_its_tokens(application):
    now = timezone.now()
    session = sign_in(application())
    offline, bound = make_family(session, offline=True), make_family(session, offline=False)
    revoked = make_family(session, offline=True, revoked_at=now - YEAR)
    AccessToken.rows.create(
        user=session.user, application=session.last_application, token="a", session=session, family=offline,
        expires=now + timedelta(hours=1),
    )  # fmt: skip
    SSOSession.objects.filter(pk=session.pk).update(ended_at=now - YEAR, end_initiator="rp-logout")
    tasks.purge_history()
    assert list(RefreshTokenFamily.objects.all()) == [offline]
    assert list(RefreshToken.objects.values_list("family", flat=True)) == [offline.pk]
    assert AccessToken.rows.count() == 1
    assert bound.pk != revoked.pk
    AccessToken.rows.update(expires=now - YEAR)
    tasks.purge_history()
    assert not SSOSession.objects.exists()
    assert RefreshTokenFamily.objects.get().is_alive(now)


def test_a_code_stays_as_long_as_a_token_that_it_made(application):
    """Without it a replay would find nothing to revoke."""
    session = sign_in(application())
    family = make_family(session, offline=False, revoked_at=timezone.now() - YEAR)
    AccessToken.rows.create(
        user=session.user, application=session.last_application, token="a", session=session, code=family.code,
        expires=timezone.now() + timedelta(days=7),
    )  # fmt: skip
    tasks.purge_history()
    assert not RefreshTokenFamily.objects.exists()
    assert AuthorizationCode.objects.count() == 1
    AccessToken.rows.update(expires=timezone.now() - timedelta(days=2))
    tasks.purge_history()
    assert not AuthorizationCode.objects.exists()


def test_expired_one_time_things_are_purged_in_batches(monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 2)
    now = timezone.now()
    for n in range(5):
        SpentToken.objects.create(kind="gtr", issuer="i", jti=str(n), expires_at=now - timedelta(minutes=6))
    SpentToken.objects.create(kind="gtr", issuer="i", jti="fresh", expires_at=now + timedelta(minutes=1))
    SpentToken.objects.create(kind="gtr", issuer="i", jti="over here", expires_at=now - timedelta(minutes=1))
    LimiterSlot.objects.create(key="k", window=1, expires_at=now - timedelta(minutes=6))
    LimiterSlot.objects.create(key="k", window=2, expires_at=now - timedelta(minutes=1))
    tasks.purge_history()
    # By another machine's clock it may still be good, and must stay used.
    assert list(SpentToken.objects.values_list("jti", flat=True)) == ["fresh", "over here"]
    assert list(LimiterSlot.objects.values_list("window", flat=True)) == [2]
