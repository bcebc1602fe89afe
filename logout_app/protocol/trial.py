"""What the answer to a test sign-out means: a genuine, signed request about a session that there never was.

A receiver has to take it: whoever is signed out already counts as signed out (Back-Channel Logout 1.0 section 2.7), and it says so
by 200; many say it by 204. That it takes everything, forged tokens too, only the preflight can show.
"""

from __future__ import annotations

from logout_app.protocol.preflight import PreflightFinding, Verdict
from logout_app.protocol.retry import Answer, Outcome, is_success


def back_channel(outcome: Outcome, status: int | None, reason: str) -> PreflightFinding:
    if is_success(status):
        return PreflightFinding(
            Verdict.GOOD, f"It took the logout token and answered {status}. Sign-outs reach it by this way."
        )
    if status == 400:
        return PreflightFinding(
            Verdict.BAD,
            "It refuses a genuine logout token with 400. Look at its issuer, its client id and the type of the logout token; "
            "where nobody is signed in by the session it should answer 200 or 204.",
        )
    return _otherwise(outcome, Answer(status), reason)


def revocation(outcome: Outcome, status: int | None, reason: str) -> PreflightFinding:
    if is_success(status):
        return PreflightFinding(Verdict.GOOD, f"It took the revocation request and answered {status}.")
    if status == 404:
        return PreflightFinding(
            Verdict.HINT,
            "It answers 404: either it does not know the person, which is right, as there is none of this name, or nothing "
            "listens at this URL. Its words below may tell.",
        )
    return _otherwise(outcome, Answer(status), reason)


def commands(outcome: Outcome, status: int | None, reason: str) -> PreflightFinding:
    if is_success(status) and ": it takes " in reason:
        return PreflightFinding(
            Verdict.GOOD, f"It answered the metadata command with {reason}. Others it would refuse as unsupported."
        )
    if is_success(status):
        return PreflightFinding(
            Verdict.HINT,
            f"It answered the metadata command with {status}, and does not say which commands it takes "
            "(commands_supported, section 8.2 of the draft). They are sent all the same.",
        )
    return _otherwise(outcome, Answer(status), reason)


def _otherwise(outcome: Outcome, answer: Answer, reason: str) -> PreflightFinding:
    if outcome is Outcome.DROPPED:
        return PreflightFinding(Verdict.BAD, f"Nothing was sent: {reason}.")
    if outcome is Outcome.UNPROCESSABLE:
        return PreflightFinding(Verdict.BAD, f"Nothing could be sent: {reason}.")
    if answer.status is None:
        return PreflightFinding(
            Verdict.BAD, "There was no answer: people would stay signed in there until there is one."
        )
    return PreflightFinding(
        Verdict.BAD,
        f"It answered {answer.status}, which confirms nothing. A real sign-out would {_next(outcome)}.",
    )


def _next(outcome: Outcome) -> str:
    return "be tried again" if outcome is Outcome.RETRY else "be given up and shown as failed"
