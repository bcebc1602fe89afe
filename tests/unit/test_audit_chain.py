"""Who owns the tables can drop triggers, but cannot make a seal: whatever they change of the audit trail shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from structlog.testing import capture_logs

from idp.database import dialect
from logout_app.ending import purge
from sessions_app.audit import chain, following, permit
from sessions_app.audit.purging import OldLines
from sessions_app.models import AuditSeal, SessionEvent
from sessions_app.session import batches

pytestmark = pytest.mark.django_db
TABLE, SEALS = SessionEvent._meta.db_table, AuditSeal._meta.db_table
NOW = timezone.now()
YEARS = timedelta(days=1000)


def happen(count: int, at=NOW) -> None:
    SessionEvent.objects.bulk_create(
        [
            SessionEvent(type="opened", sub=f"auth0|{n}", ip="2001:db8::1", data={"n": [n, 1.5]}, at=at)
            for n in range(count)
        ]
    )


@pytest.fixture
def trail(monkeypatch) -> None:
    """Three seals of two lines, and a line that is too young."""
    monkeypatch.setattr(following, "BATCH", 2)
    assert chain.seal_next(NOW) == 0  # begins
    happen(6)
    seal()
    happen(1)


def seal(at=NOW) -> None:
    """The first look notes what there is; what was there five minutes ago is sealed by the second."""
    assert chain.seal_next(at) == 0
    while chain.seal_next(at + chain.PATIENCE) == following.BATCH:
        pass


def verify(at=NOW, **options) -> chain.TrailVerdict:
    return chain.verify(at, **{"retention_days": 90, **options})


def as_their_owner(*statements: str) -> None:
    off = dialect.either(
        postgresql=f"ALTER TABLE {TABLE} DISABLE TRIGGER USER", sqlite="DROP TRIGGER curfew_trail_no_update"
    )
    with connection.cursor() as cursor, permit.purging():
        for statement in (off, *statements):
            cursor.execute(statement)


def pks() -> list[int]:
    return list(SessionEvent.objects.order_by("pk").values_list("pk", flat=True))


def test_what_nobody_touched_is_verified(trail):
    verdict = verify()
    assert (verdict.seals, verdict.lines, verdict.unsealed, verdict.problems) == (3, 6, 1, ())
    assert verdict.head == AuditSeal.objects.latest("last").digest


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE {table} SET sub = 'auth0|bob' WHERE id = {third}", "2 lines are there, 2 were sealed"),
        ("UPDATE {table} SET data = '{{}}' WHERE id = {third}", "are not what was sealed"),
        ("DELETE FROM {table} WHERE id = {third}", "1 lines are there, 2 were sealed"),
        ("DELETE FROM {table} WHERE id <= {second}", "0 lines are there, 2 were sealed"),
        ("UPDATE {seals} SET lines = 1 WHERE last = {fourth}", "are not what was sealed"),
        ("DELETE FROM {seals} WHERE last = {fourth}", "A seal is missing between"),
        ("UPDATE {seals} SET key_id = 'theirs'", "their key is not in CURFEW_ENCRYPTION_KEYS"),
    ],
)
def test_whatever_was_changed_shows(trail, change, told):
    _, second, third, fourth, *_ = pks()
    as_their_owner(change.format(table=TABLE, seals=SEALS, second=second, third=third, fourth=fourth))
    assert any(told in problem for problem in verify().problems)


def test_a_line_that_was_put_between_others_shows(trail):
    first, *_ = pks()
    as_their_owner(f"UPDATE {TABLE} SET id = -1 WHERE id = {first}")
    assert "are not what was sealed" in verify().problems[0]


def test_an_end_that_was_cut_off_shows_to_whoever_noted_the_digest(trail):
    noted = verify().head
    last = AuditSeal.objects.latest("last")
    as_their_owner(f"DELETE FROM {TABLE} WHERE id > {last.after}", f"DELETE FROM {SEALS} WHERE id = {last.pk}")
    assert verify().problems == ()
    assert "cut off" in verify(noted=noted).problems[0]


def test_the_newest_digest_goes_to_the_log(monkeypatch):
    chain.seal_next(NOW)
    happen(1)
    with capture_logs() as logs:
        seal()
    assert [line["digest"] for line in logs if line["event"] == "audit.sealed"] == [verify().head]


def test_an_older_key_verifies_and_a_new_one_seals(trail, settings):
    settings.ENCRYPTION_KEYS = ["a new key, of which nobody knows", settings.SECRET_KEY]
    old = settings.ENCRYPTION_KEYS[1:]
    happen(2)
    seal()
    assert len(set(AuditSeal.objects.values_list("key_id", flat=True))) == 2
    assert verify().problems == ()
    settings.ENCRYPTION_KEYS = old
    assert "CURFEW_ENCRYPTION_KEYS" in verify().problems[0]


def test_nobody_who_seals_shows(trail):
    assert "does a worker run" in verify(NOW + timedelta(hours=1)).problems[0]


def test_the_purge_takes_whole_ranges_and_the_rest_is_verified(monkeypatch):
    monkeypatch.setattr(following, "BATCH", 2)
    chain.seal_next(NOW)
    happen(3, at=NOW - YEARS)  # the third was sealed with one that is young
    happen(3)
    seal()
    for _ in range(2):
        for _name, batch in purge.batches(NOW, 90):
            batch()
    assert SessionEvent.objects.count() == 4
    verdict = verify()
    assert (verdict.seals, verdict.lines, verdict.problems) == (2, 4, ())


def test_the_newest_seal_outlives_its_lines(monkeypatch):
    chain.seal_next(NOW)
    happen(2, at=NOW - YEARS)
    seal()
    for _name, batch in purge.batches(NOW, 90):
        batch()
    assert (SessionEvent.objects.count(), AuditSeal.objects.count()) == (0, 1)
    happen(1)
    seal(NOW + timedelta(minutes=10))
    verdict = verify()
    assert (verdict.purged, verdict.lines, verdict.problems) == (2, 1, ())


def purged() -> Iterator[int]:
    """Batch after batch of the trail: how many rows each deleted."""
    act = OldLines(NOW - timedelta(days=90))
    while not act.is_done:
        yield act()


def test_what_the_purge_of_the_first_release_left_half_way_is_no_alteration(monkeypatch):
    monkeypatch.setattr(following, "BATCH", 3)
    chain.seal_next(NOW)
    happen(3, at=NOW - YEARS)
    happen(3)
    seal()
    with permit.purging():
        SessionEvent.objects.filter(pk__lte=pks()[1])._raw_delete("default")
    assert (verify().purged, verify().lines, verify().problems) == (2, 4, ())
    assert verify(retention_days=2000).problems  # young lines are nobody's to take
    assert sum(purged()) == 2
    assert (verify(retention_days=2000).lines, verify(retention_days=2000).problems) == (3, ())


def test_at_each_moment_of_a_purge_the_rest_is_verified_whoever_keeps_it_from_then_on(monkeypatch):
    """A seal and its lines are one transaction, so a purge may rest anywhere: behind a legal hold, or a longer history."""
    monkeypatch.setattr(following, "BATCH", 2)
    monkeypatch.setattr(batches, "BATCH", 2)
    chain.seal_next(NOW)
    for seconds in (0, 5, 1, 4, 9, 2):  # a line says when its act began, by its own machine's clock
        happen(1, at=NOW - YEARS + timedelta(seconds=seconds))
    happen(2)
    seal()
    found = []
    for _ in purged():
        found.append((AuditSeal.objects.count(), SessionEvent.objects.count()))
        assert [verify(retention_days=days).problems for days in (90, 5000)] == [(), ()]
    assert found == [(3, 6), (2, 4), (1, 2), (1, 2)]


def test_what_nobody_seals_goes_though_a_clock_was_ahead_for_more_than_a_batch():
    happen(batches.BATCH, at=NOW + YEARS)
    happen(5, at=NOW - YEARS)
    assert sum(purged()) == 5
    assert SessionEvent.objects.count() == batches.BATCH


def test_a_purge_that_fails_within_a_range_takes_none_of_it(trail, monkeypatch):
    monkeypatch.setattr(chain, "mark_purged", lambda _seal: 1 / 0)
    act = OldLines(NOW + YEARS)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        act()
    assert (AuditSeal.objects.count(), SessionEvent.objects.count()) == (3, 7)
    assert verify(retention_days=5000).problems == ()


def test_the_newest_seal_says_by_the_key_that_its_lines_were_purged(trail, settings):
    """No retention that is set later makes an alteration of it, and who has no key cannot say so."""
    noted = verify().head
    act = OldLines(NOW + YEARS)
    while not act.is_done:
        act()
    assert (AuditSeal.objects.count(), SessionEvent.objects.count()) == (1, 0)
    assert (verify(noted=noted).purged, verify(noted=noted).problems) == (2, ())
    line = SessionEvent.objects.create(type="opened", at=NOW)
    assert verify().problems == ()
    seal(NOW + timedelta(minutes=10))
    assert (verify().lines, verify().problems) == (1, ())
    as_their_owner(f"UPDATE {TABLE} SET id = {AuditSeal.objects.earliest('last').last} WHERE id = {line.pk}")
    assert "are not what was sealed" in verify().problems[0], "a line in a range that was purged"


def test_who_has_no_key_cannot_say_that_lines_were_purged(trail):
    last = AuditSeal.objects.latest("last")
    as_their_owner(
        f"DELETE FROM {TABLE} WHERE id <= {last.last}",
        f"DELETE FROM {SEALS} WHERE id <> {last.pk}",
        f"UPDATE {SEALS} SET previous = '{last.digest}'",
    )
    assert "0 lines are there, 2 were sealed" in verify().problems[0]


def test_old_lines_that_no_seal_covers_go_and_whoever_seals_later_sees_all_of_the_rest(monkeypatch):
    happen(2, at=NOW - YEARS)  # from before there were seals
    chain.seal_next(NOW)
    happen(2, at=NOW - YEARS)
    happen(2)
    seal()
    happen(3, at=NOW - YEARS)  # for as long nobody sealed
    happen(1)
    assert list(purged()) == [2, 3, 0], "what is sealed with younger lines stays"
    seal(NOW + timedelta(minutes=10))
    verdict = verify(retention_days=5000)
    assert (verdict.seals, verdict.lines, verdict.unsealed, verdict.problems) == (2, 5, 0, ())


def test_no_range_goes_before_all_lines_from_before_there_were_seals():
    """They are looked for at the front only as long as the first seal is there."""
    happen(1)
    chain.seal_next(NOW)
    happen(2, at=NOW - YEARS)
    seal()
    assert list(purged()) == [0]
    assert (AuditSeal.objects.count(), SessionEvent.objects.count()) == (1, 3)
    act = OldLines(NOW + timedelta(seconds=1))
    assert [act(), act(), act()] == [1, 3, 0]
    assert verify().problems == ()


def test_a_purge_that_overtakes_who_verifies_is_no_alteration(monkeypatch):
    monkeypatch.setattr(following, "BATCH", 2)
    chain.seal_next(NOW)
    happen(6, at=NOW - YEARS)
    happen(2)
    seal()
    interrupt(monkeypatch, lambda: list(purged()))
    verdict = verify(retention_days=5000)
    assert (verdict.seals, verdict.lines, verdict.purged, verdict.problems) == (4, 4, 4, ())


def test_who_takes_a_range_from_the_midst_while_somebody_verifies_shows(trail, monkeypatch):
    middle = list(AuditSeal.objects.order_by("last"))[1]
    statements = (
        f"DELETE FROM {TABLE} WHERE id > {middle.after} AND id <= {middle.last}",
        f"DELETE FROM {SEALS} WHERE id = {middle.pk}",
    )
    interrupt(monkeypatch, lambda: as_their_owner(*statements))
    assert "0 lines are there, 2 were sealed" in verify().problems[0]


def interrupt(monkeypatch, act) -> None:
    """Once, when the first seal was compared: `act` is what another process does meanwhile."""
    known, acts = chain._Reading._of, [act]

    def of(self, seal):
        yield from known(self, seal)
        while acts:
            acts.pop()()

    monkeypatch.setattr(chain._Reading, "_of", of)


def test_a_seal_stays_with_its_lines_where_clocks_differ(monkeypatch):
    """A younger line stands before older ones: the purge takes neither yet."""
    monkeypatch.setattr(following, "BATCH", 2)
    chain.seal_next(NOW)
    happen(2, at=NOW)
    happen(2, at=NOW - timedelta(seconds=2))
    happen(2, at=NOW)
    seal()
    for _name, batch in purge.batches(NOW + timedelta(days=90, seconds=-1), 90):
        batch()
    assert (verify().seals, verify().lines, verify().problems) == (3, 6, ())


def test_the_oldest_line_tells_of_a_beginning_that_was_cut_off_as_nothing_else_does(monkeypatch):
    monkeypatch.setattr(following, "BATCH", 2)
    chain.seal_next(NOW)
    happen(2, at=NOW - timedelta(days=2))
    happen(2, at=NOW - timedelta(days=1))
    seal()
    assert verify().oldest == NOW - timedelta(days=2)
    first = AuditSeal.objects.order_by("last").first()
    as_their_owner(f"DELETE FROM {TABLE} WHERE id <= {first.last}", f"DELETE FROM {SEALS} WHERE id = {first.pk}")
    assert (verify().problems, verify().oldest) == ((), NOW - timedelta(days=1))


def test_the_command_says_what_it_found_and_ends_so(trail, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)  # this module may have been read long ago
    out = StringIO()
    call_command("audit", "verify", stdout=out)
    assert out.getvalue().startswith("VERIFIED  Every line is what was sealed.\n6 lines in 3 seals, 1 not sealed yet.")
    as_their_owner(f"DELETE FROM {TABLE} WHERE id = {pks()[0]}")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("audit", "verify", "--json", stdout=out)
    assert (ended.value.code, json.loads(out.getvalue())["status"]) == (1, "altered")
