"""A run of the purge: kinds fail by themselves, no two runs get into each other's way, and whoever keeps history is heard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from time import time
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone
from structlog.testing import capture_logs

from idp.models import SpentToken, TenantSettings
from logout_app import tasks
from logout_app.delivery import tallies
from logout_app.ending import purge, purging
from logout_app.operators import doctor
from sessions_app.audit import chain, following, forwarding
from sessions_app.audit.purging import OldLines
from sessions_app.models import AuditSeal, SessionEvent
from sessions_app.session import batches
from sessions_app.session import purge as tokens
from sessions_app.session.batches import Sized

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = timezone.now() - timedelta(days=1000)


class FailingAct(Sized):
    def __call__(self) -> int:
        raise DatabaseError("a broken index")


class SlowAct(Sized):
    """Whose statement takes as long as its batch is large. `sizes`: of the batches that were tried."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __call__(self) -> int:
        self.sizes.append(self.size)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [self.size * 0.004])
        self.is_done = True
        return self.size


class EndlessAct(Sized):
    def __init__(self, act: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.act, self.calls = act, 0

    def __call__(self) -> int:
        self.calls += 1
        self.act()
        return self.size


def spend(count: int) -> None:
    for number in range(count):
        SpentToken.objects.create(kind="gtr", issuer="i", jti=str(number), expires_at=LONG_AGO)


def before_all(monkeypatch: pytest.MonkeyPatch, *acts: Any) -> None:
    """Kinds of ours, named `first`, before those that there are."""
    known = purge.batches

    def with_ours(*given: Any) -> Iterator[batches.Batch]:
        yield from (("first", act) for act in acts)
        yield from known(*given)

    monkeypatch.setattr(purge, "batches", with_ours)


def run(seconds: float = 60) -> list[str]:
    """The lines of the log."""
    with capture_logs() as lines:
        purging.run(timezone.now(), seconds=seconds)
    return [line["event"] for line in lines]


def metrics() -> str:
    return Client().get("/metrics").content.decode()


def test_a_kind_that_fails_keeps_no_other_from_its_turn_and_is_told_until_it_heals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spend(3)
    with monkeypatch.context() as broken:
        before_all(broken, FailingAct())
        assert run() == ["purge.failed", "history.purged"]
        run()
    assert not SpentToken.objects.exists()
    assert 'curfew_purge_failures_total{kind="first"} 2.0' in metrics()
    (told,) = doctor._purge(timezone.now())
    assert told[0] == doctor.WARNING
    assert "of first:" in told[1]
    before_all(monkeypatch, EndlessAct())
    run(0.5)
    assert [level for level, _ in doctor._purge(timezone.now())] == [doctor.GOOD]
    assert 'curfew_purge_failures_total{kind="first"} 2.0' in metrics()


@pytest.mark.postgresql
def test_a_statement_that_took_too_long_is_tried_with_less_and_the_connection_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(purging, "STATEMENT_LIMIT", 1)
    spend(3)
    slow = SlowAct()
    before_all(monkeypatch, slow)
    assert run() == ["purge.takes_less", "history.purged", "history.purged"]
    assert slow.sizes == [500, 125]
    assert not SpentToken.objects.exists()


def test_a_backlog_of_one_kind_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "ROUND", 0.1)
    spend(3)
    before_all(monkeypatch, EndlessAct())
    assert run(1) == ["history.purged", "history.purged", "task.out_of_time"]
    assert not SpentToken.objects.exists()


def test_who_keeps_history_for_longer_is_heard_before_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    def hold() -> None:
        tenant = TenantSettings.objects.get_or_create(pk=1)[0]
        tenant.legal_hold = "Case 7"
        tenant.save()

    spend(3)
    endless = EndlessAct(hold)
    before_all(monkeypatch, endless)
    assert run() == ["history.purged", "purge.stopped"]
    assert (endless.calls, SpentToken.objects.count()) == (1, 3)
    monkeypatch.undo()
    run()
    assert not SpentToken.objects.exists(), "what is no history goes all the same"


def test_a_second_run_leaves_all_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two beats, or a message that came twice."""
    second: list[str] = []

    def run_beside() -> None:
        thread = threading.Thread(target=lambda: (second.extend(run()), connection.close()))
        thread.start()
        thread.join(60)

    spend(3)
    before_all(monkeypatch, EndlessAct(run_beside))
    with monkeypatch.context() as short:
        short.setattr(purging, "ROUND", 0.1)
        run(1)
    assert set(second) == {"purge.under_way"}
    assert run(0.5) != ["purge.under_way"], "it is given back"


def test_what_a_killed_run_held_is_free_after_a_while() -> None:
    spend(1)
    assert purging.PurgeTurn().take()
    assert run() == ["purge.under_way"]
    tallies.put({(purging.HELD, ""): time() - 1})
    run()
    assert not SpentToken.objects.exists()


def test_what_was_held_by_a_clock_that_was_ahead_is_free_at_once() -> None:
    """It was killed, or set right: nobody could wait for the end of what it held."""
    spend(1)
    tallies.put({(purging.HELD, ""): time() + 365 * 86400})
    run()
    assert not SpentToken.objects.exists()


def test_a_turn_that_cannot_be_renewed_ends_the_run_and_is_no_fault_of_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    spend(3)
    monkeypatch.setattr(purging, "RENEWED_AFTER", -1000.0)  # before each batch
    real, calls = purging.PurgeTurn._hold, []

    def hold(turn: purging.PurgeTurn, rows: Any) -> bool:
        calls.append(1)
        if len(calls) > 2:
            raise DatabaseError("a lock did not come")
        return real(turn, rows)

    monkeypatch.setattr(purging.PurgeTurn, "_hold", hold)
    assert set(run()) == {"purge.held", "purge.stopped"}
    assert purging.failing() == {}


def test_a_kind_that_had_no_turn_is_not_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    tallies.put({(purging.FAILING, "first"): time() - 1000})
    before_all(monkeypatch, FailingAct())
    answers = iter([True, True])  # to the run and to the kind, and then no more
    monkeypatch.setattr(purging.PurgeTurn, "goes_on", lambda _: next(answers, False))
    run()
    assert set(purging.failing()) == {"first"}


def test_of_what_no_index_finds_a_row_that_stays_keeps_none_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SMALL", 10), ("SHARES", 5), ("BATCH", 1), ("LOOKED_AT", 1)):
        monkeypatch.setattr(batches, name, value)
    spend(30)
    bad, real = list(SpentToken.objects.order_by("pk").values_list("pk", flat=True))[3], batches.delete

    def delete(model: Any, keys: Any) -> None:
        if bad in keys:
            raise DatabaseError("a row that nobody can delete")
        real(model, keys)

    monkeypatch.setattr(batches, "delete", delete)
    rows = SpentToken.objects.all()
    monkeypatch.setattr(
        purge, "batches", lambda _at, _days, known: iter([batches.by_key(rows, after=known.get("spenttoken", 0))])
    )
    for _ in range(12):
        run()
    assert [row.pk for row in rows] == [bad]


def test_streams_that_cannot_pause_keep_nothing_from_being_purged(monkeypatch: pytest.MonkeyPatch) -> None:
    spend(3)
    monkeypatch.setattr(tasks.manage, "pause_inactive", lambda _: FailingAct()())
    with pytest.raises(DatabaseError):
        tasks.purge_history()
    assert not SpentToken.objects.exists()


def test_the_doctor_says_when_no_purge_has_ended_for_an_hour() -> None:
    run()
    assert [level for level, _ in doctor._purge(timezone.now())] == [doctor.GOOD]
    (told,) = doctor._purge(timezone.now() + timedelta(hours=2))
    assert told[0] == doctor.WARNING
    assert "No purge has ended" in told[1]


def test_a_run_that_lost_its_turn_stops() -> None:
    turn, other = purging.PurgeTurn(), purging.PurgeTurn()
    assert turn.take()
    turn._until = time() - 1  # its process was stopped for as long
    tallies.put({(purging.HELD, ""): turn._until})
    assert other.take()
    assert not turn.goes_on()
    turn.give_back()
    assert other.goes_on()


def test_the_command_waits_for_its_turn_and_names_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    spend(1)
    turn = purging.PurgeTurn()
    assert turn.take()
    monkeypatch.setattr("logout_app.management.commands.cleartokens.sleep", lambda _: turn.give_back())
    known = tokens.batches
    monkeypatch.setattr(tokens, "batches", lambda *given: iter([("broken", FailingAct()), *known(*given)]))
    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError, match="Not deleted: broken"):
        call_command("cleartokens", stdout=out, stderr=err)
    assert out.getvalue().startswith("Another purge is under way")
    assert "spenttoken: 1" in out.getvalue()
    assert "a broken index" in err.getvalue()


def test_two_who_purge_the_trail_at_once_beside_one_who_verifies_and_exports_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only where a run was stopped for minutes, and goes on beside the one that took its turn."""
    monkeypatch.setattr(following, "BATCH", 5)
    monkeypatch.setattr(batches, "BATCH", 10)
    now = timezone.now()
    chain.seal_next(now)
    lines = [SessionEvent(type="opened", sub=f"auth0|{number}", at=LONG_AGO) for number in range(1000)]
    SessionEvent.objects.bulk_create([*lines, *(SessionEvent(type="opened", at=now) for _ in range(5))])
    chain.seal_next(now)
    while chain.seal_next(now + chain.PATIENCE):
        pass
    young = list(SessionEvent.objects.order_by("pk").values_list("pk", flat=True))[-5:]
    together, deleted, failures = threading.Barrier(3), [], []

    def in_a_thread(act: Callable[[], None]) -> threading.Thread:
        def work() -> None:
            try:
                together.wait(60)
                act()
            except Exception as error:  # noqa: BLE001  whatever it is
                failures.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def purge_trail() -> None:
        act = OldLines(now - timedelta(days=90))
        while not act.is_done:
            deleted.append(act())

    threads = [in_a_thread(purge_trail), in_a_thread(purge_trail)]
    together.wait(60)
    while any(thread.is_alive() for thread in threads):
        verdict = chain.verify(now, retention_days=5000)
        assert verdict.problems == ()
        told = [line.row.pk for _, lines in forwarding.batches(0, until=None, follow=False) for line in lines]
        assert told == sorted(told)
        assert told[-5:] == young
    assert not failures
    assert sum(deleted) == 1000 + 200
    assert (AuditSeal.objects.count(), SessionEvent.objects.count()) == (1, 5)
    assert chain.verify(now, retention_days=5000).problems == ()
