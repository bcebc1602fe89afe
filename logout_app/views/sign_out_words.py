"""What the sign-out page says of its rows, and its script when they change."""

from __future__ import annotations

import json
from collections.abc import Sequence

from django.utils.translation import gettext, gettext_noop, ngettext

from logout_app.browser.transactions import PageRow
from logout_app.browser.upstream_logout import Standing
from logout_app.protocol.sign_out_state import RowState

WORDS = {
    RowState.PENDING: gettext_noop("Signing out…"),
    RowState.DELIVERED: gettext_noop("Signed out"),
    RowState.LOADED: gettext_noop("Page loaded, not confirmed"),
    RowState.DEAD: gettext_noop("No answer"),
    RowState.UNREACHABLE: gettext_noop("Cannot be signed out from here"),
}
UPSTREAM = {
    Standing.OFFERED: gettext_noop("You are still signed in there"),
    Standing.SENT: gettext_noop("Asked, not confirmed"),
    Standing.LEFT: gettext_noop("Signed out"),
    Standing.FAILED: gettext_noop("Not signed out"),
}
ANSWERED_WITH_AN_ERROR = gettext_noop("Answered with an error")
PLAIN = {RowState.LOADED: gettext_noop("Asked, not confirmed")}  # nobody saw whether the frame loaded


def of_row(row: PageRow, *, plain: bool) -> str:
    """`plain`: no frame was loaded by a script, so that nobody saw what became of it."""
    if row.state == RowState.DEAD and row.answered:
        return gettext(ANSWERED_WITH_AN_ERROR)
    return gettext((WORDS | PLAIN if plain else WORDS)[row.state])


def failures(rows: Sequence[PageRow]) -> str:
    """The headline where somebody may still be signed in; "": nowhere."""
    failed = [row for row in rows if row.state == RowState.DEAD]
    if not failed:
        return ""
    return _refused(len(failed)) if any(row.answered for row in failed) else _silent(len(failed))


def of_script(apps: int) -> str:
    """Every text that `static/js/sign_out.js` may have to show, in JSON; of numbers one for each, as languages count
    differently."""
    numbers = range(1, apps + 1)
    said: dict[str, object] = {
        "states": {state.value: gettext(word) for state, word in WORDS.items()},
        "answered": gettext(ANSWERED_WITH_AN_ERROR),
        "silent": [_silent(number) for number in numbers],
        "refused": [_refused(number) for number in numbers],
        "count": gettext("%(done)s of %(total)s"),
        "seconds": gettext("%(number)s s"),
        "everywhere": gettext("You are signed out everywhere"),
        "signedOut": gettext("You are signed out"),
        "again": gettext("Trying again"),
        "goingOnIn": gettext("Going on in %(number)s s"),
        "goingOn": gettext("Going on. If nothing happens, use the button."),
    }
    return json.dumps(said, ensure_ascii=False)


def _silent(number: int) -> str:
    return ngettext("%(number)d app did not answer", "%(number)d apps did not answer", number) % {"number": number}


def _refused(number: int) -> str:
    said = ngettext("%(number)d app did not sign you out", "%(number)d apps did not sign you out", number)
    return said % {"number": number}
