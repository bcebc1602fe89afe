"""What an answer means (Back-Channel Logout 1.0 sections 2.7 and 2.8), as a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logout_app.protocol.breaker import LONGEST_PAUSE, THRESHOLD, Breaker
from logout_app.protocol.retry import Answer, History, Outcome, backoff, decide, printable, retry_after
from tests.support.examples import untimed

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def judge(answer: Answer, attempts: int = 1, last_status: int | None = None, age: timedelta = timedelta()):
    return decide(answer, History(attempts, last_status, age, DAY), at=NOW, jitter=0.5)


@pytest.mark.spec("backchannel", "2.7", "B12 200 is success, 204 should be taken as success")
@pytest.mark.parametrize("status", [200, 204, 201, 202])
def test_success_is_final(status):
    assert judge(Answer(status)).outcome == Outcome.DELIVERED
    assert judge(Answer(status)).delay is None
    assert not judge(Answer(status)).unhealthy


@pytest.mark.spec("backchannel", "2.7", "B12 400 is the application's refusal, whatever its body says")
def test_400_is_final_at_once_and_says_why():
    decision = judge(Answer(400, detail='{"error":"invalid_request"}'))
    assert (decision.outcome, decision.delay) == (Outcome.REFUSED, None)
    assert decision.reason == '400: {"error":"invalid_request"}'
    assert not decision.unhealthy


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(s) for s in (401, 403, 404, 405, 410, 413, 301, 302, 303, 307, 308)),
        Answer(error="blocked", detail="x"),
    ],
)
def test_configuration_errors_get_three_spaced_tries(answer):
    assert [judge(answer, n, answer.status if n > 1 else None).delay for n in (1, 2, 3)] == [15.0, 60.0, None]
    assert judge(answer, 3, answer.status).outcome == Outcome.MISCONFIGURED
    assert not judge(answer, 1).unhealthy


def test_one_configuration_error_among_failures_is_no_verdict():
    assert judge(Answer(404), attempts=9, last_status=503).outcome == Outcome.RETRY
    assert judge(Answer(404), attempts=9, last_status=503, age=DAY).outcome == Outcome.MISCONFIGURED


@pytest.mark.spec("backchannel", "2.8", "B11 retransmit only for failures that may be recoverable")
@pytest.mark.parametrize(
    "answer",
    [*(Answer(s) for s in (408, 425, 429, 500, 502, 503, 504, 599))]
    + [Answer(error=e) for e in ("timeout", "reset", "connect", "dns", "tls", "protocol")],
)
def test_what_may_heal_is_tried_again_and_counts_against_the_application(answer):
    decision = judge(answer)
    assert (decision.outcome, decision.unhealthy) == (Outcome.RETRY, True)
    assert decision.delay is not None
    assert judge(answer, attempts=20, age=DAY).outcome == Outcome.EXPIRED
    assert judge(answer, attempts=20, age=DAY).delay is None


def test_delays_double_from_one_second_to_two_hours():
    assert [backoff(n, 0.5) for n in (1, 2, 3, 10, 13, 14, 99)] == [1, 2, 4, 512, 4096, 7200, 7200]


@untimed
@given(st.integers(1, 10_000), st.floats(0, 1))
def test_delays_stay_within_bounds(attempts, jitter):
    assert 1.0 <= backoff(attempts, jitter) <= 9000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("999999999", 3600.0),
        ("-5", 1.0),
        ("x", 1.0),
        ("", 1.0),
        ("1.5", 1.0),
        ("²", 1.0),
        ("9" * 400, 3600.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1.0),
        ("Fri, 01 May 2026 12:05:00 GMT", 300.0),
        ("Fri, 01 May 2026 12:05:00", 300.0),
        ("Fri, 01 May 9999 12:05:00 GMT", 3600.0),
        ("Fri, 99 May 2026 12:05:00 GMT", 1.0),
    ],
)
def test_retry_after_is_clamped(value, seconds):
    assert retry_after(value, NOW) == seconds


@untimed
@given(st.text(max_size=60) | st.from_regex(r"\AWed, 21 Oct \d{1,6} 07:28:\d\d [+-]\d{0,20}\Z"))
@example("Wed, 21 Oct 2015 07:28:00 +999999999999")
@example("Wed, 21 Oct 2015 07:28:00 +9999999919999")
def test_retry_after_survives_anything(value):
    assert 1.0 <= retry_after(value, NOW) <= 3600.0


def test_retry_after_pauses_the_whole_application():
    """F-N05."""
    decision = judge(Answer(429, retry_after="120"))
    assert (decision.delay, decision.pause) == (120.0, 120.0)
    assert judge(Answer(500, retry_after="120")).pause == 0.0


def test_reasons_are_short_and_printable():
    decision = judge(Answer(400, detail="\x1b[31m<script>\0\r\n" + "x" * 10_000))
    assert len(decision.reason) == 500
    assert decision.reason.isprintable()
    assert decision.reason.startswith("400: \\x1b[31m<script>\\x00\\x0d\\x0a")


@untimed
@given(st.text())
def test_printable_text_can_be_stored_and_shown(text):
    assert printable(text).isprintable()
    printable(text).encode()


# --- the breaker -----------------------------------------------------------------------------------------------------


def failing(times: int, now: float = 100.0) -> Breaker:
    breaker = Breaker()
    for _ in range(times):
        breaker.failed(now)
    return breaker


def test_the_breaker_opens_after_five_failures_in_a_row():
    assert failing(THRESHOLD - 1).room(20, 100.0) == 20
    assert failing(THRESHOLD).room(20, 100.0) == 0


def test_a_success_between_starts_the_count_again():
    breaker = failing(THRESHOLD - 1)
    breaker.succeeded()
    breaker.failed(100.0)
    assert not breaker.is_open


def test_an_open_breaker_probes_with_one():
    breaker = failing(THRESHOLD)
    assert breaker.room(20, 101.1) == 1
    breaker.in_flight = 1
    assert breaker.room(20, 101.1) == 0


def test_a_probe_that_succeeds_closes_it_and_one_that_fails_waits_longer():
    breaker = failing(THRESHOLD)
    breaker.failed(101.1)
    assert (breaker.room(20, 103.0), breaker.room(20, 103.2)) == (0, 1)
    breaker.succeeded()
    assert breaker.room(20, 103.2) == 20


def test_failures_that_were_in_flight_when_it_opened_do_not_count_again():
    assert failing(20).silent_until == failing(THRESHOLD).silent_until


def test_the_wait_has_an_end():
    breaker, now = Breaker(), 0.0
    for _ in range(50):
        breaker.failed(now)
        now = max(now, breaker.silent_until) + 0.1
    assert breaker.silent_until - now <= LONGEST_PAUSE


def test_the_cap_counts_what_is_in_flight():
    assert Breaker(in_flight=15).room(20, 0.0) == 5
    assert Breaker(in_flight=25).room(20, 0.0) == 0


def test_a_pause_outlives_a_success_that_was_in_flight():
    breaker = Breaker()
    breaker.pause(130.0)
    breaker.succeeded()
    assert (breaker.room(20, 129.0), breaker.room(20, 131.0)) == (0, 20)
