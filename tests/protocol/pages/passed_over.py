"""The addresses that the sweep passes over, each with its reason: they only lead somewhere else. One that is not listed fails
the sweep, and so does a line that nothing needs any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

VISITOR, ADMINISTRATOR = ("visitor",), ("superuser",)
PEOPLE = ("person", "second factor")


@dataclass(frozen=True)
class Line:
    roles: tuple[str, ...]
    path: str  # the whole of it, as a regular expression
    to: str  # likewise
    reason: str


LINES = (
    Line(VISITOR, r"/(account|activate|admin).*", r"(/admin)?/login/?(\?next=.*)?", "only for people who are signed in"),
    Line(PEOPLE, r"/admin/.*", r"/admin/(login/\?next=.*)?", "only for administrators"),
    Line((*VISITOR, *PEOPLE), r"/login/upstream/partner", r"https://idp\.example\.com/sso\?.*", "away to a provider"),
    Line((*VISITOR, *PEOPLE), r"/login/cancel", r"/", "nothing is under way; tests/protocol/signin cancels what is"),
    Line(("visitor", "second factor"), r"/login/step-up", r"/", "nobody lacks a factor; states.set_up_a_second_factor"),
    Line(PEOPLE, r"/account/mfa/authenticate/", r"/", "no sign-in waits for a factor; states.second_factor"),
    Line(PEOPLE, r"/login(\?.*)?", r"/(account/sessions)?", "they are signed in"),
    Line(PEOPLE, r"/signup", r"/login\?next=.*", "they have an account; states.sign_up"),
    Line(
        ("person",), r"/account/mfa/(webauthn/)?reauthenticate/", r"/account/reauthenticate/", "no factor to prove; by password"
    ),
    Line(("second factor",), r"/account/mfa/totp/activate/", r"/account/mfa/totp/deactivate/", "there is one; of a person"),
    Line(("second factor",), r"/account/passkeys/offer/", r"/", "there is a key already; of a person"),
    Line(ADMINISTRATOR, r"/admin/(login/|logout/|password_change/.*)", r"/.*", "Django's, which our pages stand for"),
    Line(ADMINISTRATOR, r"/admin/idp/tenantsettings/", r".*/\d+/change/", "there is one row: straight to it"),
    Line(ADMINISTRATOR, r"/admin/sessions_app/idtoken/\d+/(change|history)/", r"/admin/", "none is kept"),
    # Acts that the state of the row does not allow: they lead back to it and say so there. tests/protocol/admin does them.
    Line(ADMINISTRATOR, r".*/identity/\d+/act/(link|unlink)/", r".*/change/", "the account has no other, or no second one"),
    Line(ADMINISTRATOR, r".*/samlkey/\d+/act/(activate|discard|withdraw)/", r".*/change/", "the only key signs already"),
    Line(
        ADMINISTRATOR, r".*/connection/\d+/act/(enable|require-sign-in|try-password)/", r".*/change/",
        "it is enabled, and of another kind",
    ),
    Line(
        ADMINISTRATOR, r".*/connection/\d+/act/((check|connect|test|disconnect)-signals)/", r".*/change/",
        "its provider sends no signals",
    ),
    Line(
        ADMINISTRATOR,
        r".*/connection/\d+/act/(test-provisioning|provision(-(how|token|remove-token|off))?)/", r".*/change/",
        "provisioning is off, or set up already",
    ),
    Line(ADMINISTRATOR, r".*/user/\d+/act/unblock/", r".*/change/", "nobody blocked them"),
    Line(ADMINISTRATOR, r".*/(outgoingstream|webhook)/\d+/act/(enable|resume|redeliver)/", r".*/change/", "it runs, nothing failed"),
    Line(
        ADMINISTRATOR, r".*/application/\d+/act/(sample-assertion|import-metadata)/", r".*/change/",
        "of SAML applications; fabrikam.payroll shows it",
    ),
)  # fmt: skip


def unlisted(role: str, led: dict[str, str]) -> list[str]:
    """What is not as `LINES` says, of a role whose paths led to these others."""
    lines = [line for line in LINES if role in line.roles]
    wrong = [
        f"{path} only leads to {to}: look at it, or say why not in tests/protocol/pages/passed_over.py"
        for path, to in led.items()
        if not any(_is_of(line, path, to) for line in lines)
    ]
    idle = [line.path for line in lines if not any(_is_of(line, path, to) for path, to in led.items())]
    return [*wrong, *(f"nothing is passed over for {path} any more" for path in idle)]


def _is_of(line: Line, path: str, to: str) -> bool:
    return bool(re.fullmatch(line.path, path) and re.fullmatch(line.to, to))
