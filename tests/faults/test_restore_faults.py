"""F-R09: Redis is lost, and the database goes back to a state of ten minutes ago."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from idp.models import Application
from logout_app.models import LogoutDelivery
from sessions_app.models import RefreshTokenFamily, SSOSession
from tests.delivery.conftest import sign_in, sign_out
from tests.faults.conftest import wait_for_delivered
from tests.support import backup
from tests.support.factories import browser
from tests.support.receiver import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def is_signed_in(session: SSOSession) -> bool:
    return session.user.email in browser(session).get("/").content.decode()


def with_offline_access(app: Application) -> RefreshTokenFamily:
    session = sign_in(app)
    return RefreshTokenFamily.objects.create(
        user=session.user, application=app, session=session, offline=True, sid=session.sid, auth_time=timezone.now()
    )


def test_after_a_restore_one_command_ends_what_had_ended_since_and_tells_the_applications(
    installation, redis, application: Callable[..., Application], receiver, tmp_path
):
    app = application(backchannel_logout_initiators_mode="all")
    ended, alive, offline = sign_in(app), sign_in(app), with_offline_access(app)
    sign_out(offline.session)
    backup.back_up(tmp_path / "backup")
    sign_out(ended)
    RefreshTokenFamily.objects.update(revoked_at=timezone.now())
    assert not is_signed_in(ended)

    redis[0].kill()
    backup.restore(tmp_path / "backup")
    assert is_signed_in(ended)  # which is why the command exists
    assert RefreshTokenFamily.objects.filter(revoked_at=None).exists()

    command = installation.start("restored", ["manage.py", "post_restore", "--no-input"])
    assert command.process.wait(60) == 0, command.text
    assert "2 sessions of 3 people" in command.text
    assert not is_signed_in(ended)
    assert not is_signed_in(alive)
    assert not RefreshTokenFamily.objects.filter(revoked_at=None).exists()
    installation.worker()
    wait_for_delivered(3)
    wait_until(lambda: {ended.sid, alive.sid, offline.sid} == {token.get("sid") for token in receiver.tokens()})
    assert not LogoutDelivery.objects.exclude(state="delivered").exists()


def test_nobody_is_signed_out_by_a_command_that_was_not_meant(application, monkeypatch):
    session = sign_in(application())
    monkeypatch.setattr("builtins.input", lambda _: "")
    with pytest.raises(CommandError):
        call_command("post_restore")
    assert is_signed_in(session)
