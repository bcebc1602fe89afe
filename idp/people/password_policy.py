"""How strong a new password must be: Auth0's five policies, each connection's own. Passwords that people have stay valid.

Without a policy the rules are those of NIST SP 800-63B-4: length, nothing common, nothing that resembles the account.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from django.contrib.auth.password_validation import CommonPasswordValidator, UserAttributeSimilarityValidator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_noop, ngettext

from idp.connections.database import LONGEST_PASSWORD, is_malformed
from idp.http.languages import listed
from idp.models import Connection, Identity, Strategy, User
from idp.protocol.text import normal_forms

HOUSE = ""  # a connection that says nothing
LEAST = {HOUSE: 8, "none": 1, "low": 6, "fair": 8, "good": 8, "excellent": 10}  # characters that each policy asks for
_CLASSES = {
    gettext_noop("a lower-case letter"): r"[a-z]",
    gettext_noop("an upper-case letter"): r"[A-Z]",
    gettext_noop("a digit"): r"[0-9]",
}
_SPECIAL = {gettext_noop("a special character like !@#$%^&*"): r"[^A-Za-z0-9\s]"}
_THREE_IN_A_ROW = re.compile(r"(.)\1\1", re.DOTALL)


def problems(password: str, policy: str, user: User | None = None) -> list[str]:
    """What the policy asks for and the password has not, one sentence each."""
    found, password = [*_unusable(password)], normal_forms.password(password)
    found += _POLICIES[policy](password)
    if policy != "none":
        found += _guessable(password, user)
    return found


def policies_of(user: User | None) -> set[str]:
    """The policies of the database connections where this person signs in; that of the house where there is none."""
    if user is None or user.pk is None:
        return {HOUSE}
    rows = Identity.objects.filter(user=user, connection__strategy=Strategy.DATABASE).select_related("connection")
    return {policy_of(row.connection) for row in rows} or {HOUSE}


def policy_of(connection: Connection) -> str:
    named = connection.options.get("passwordPolicy") or HOUSE
    return named if named in _POLICIES else HOUSE


def refuse(password: str, policies: set[str], user: User | None = None) -> None:
    """Raises ValidationError unless the password is good enough for all of them."""
    found = dict.fromkeys(sentence for policy in sorted(policies) for sentence in problems(password, policy, user))
    if found:
        raise ValidationError(list(found))


class ConnectionPolicy:
    """Django's seam (AUTH_PASSWORD_VALIDATORS): reset, change, admin and commands all come by here."""

    def validate(self, password: str, user: User | None = None) -> None:
        refuse(password, policies_of(user), user)

    def get_help_text(self) -> str:
        return gettext("Longer is better; words that nobody would guess are best.")


def _unusable(password: str) -> Iterator[str]:
    if is_malformed(password, LONGEST_PASSWORD):
        yield gettext("A password has at most %(number)d characters, and none that nobody can type.") % {
            "number": LONGEST_PASSWORD
        }


def _guessable(password: str, user: User | None) -> Iterator[str]:
    for validator in (CommonPasswordValidator(), UserAttributeSimilarityValidator(_ATTRIBUTES)):
        try:
            validator.validate(password, user)
        except ValidationError as error:
            yield from error.messages


_ATTRIBUTES = ("email", "name", "given_name", "family_name", "nickname")


def _at_least(length: int, password: str) -> Iterator[str]:
    if len(password) < length:
        yield ngettext(
            "This password is too short. It must have at least %(number)d character.",
            "This password is too short. It must have at least %(number)d characters.",
            length,
        ) % {"number": length}


def _none(password: str) -> Iterator[str]:
    yield from _at_least(LEAST["none"], password)


def _low(password: str) -> Iterator[str]:
    yield from _at_least(LEAST["low"], password)


def _fair(password: str) -> Iterator[str]:
    yield from _at_least(LEAST["fair"], password)
    if missing := [name for name, pattern in _CLASSES.items() if not re.search(pattern, password)]:
        yield gettext("The password must also contain %(kinds)s.") % {"kinds": listed(map(gettext, missing))}


def _three_kinds(password: str) -> Iterator[str]:
    kinds = _CLASSES | _SPECIAL
    if sum(bool(re.search(pattern, password)) for pattern in kinds.values()) < 3:
        yield gettext("The password must contain three of: %(kinds)s.") % {"kinds": ", ".join(map(gettext, kinds))}


def _good(password: str) -> Iterator[str]:
    yield from _at_least(LEAST["good"], password)
    yield from _three_kinds(password)


def _excellent(password: str) -> Iterator[str]:
    yield from _at_least(LEAST["excellent"], password)
    yield from _three_kinds(password)
    if _THREE_IN_A_ROW.search(password):
        yield gettext("The password must not have the same character three times in a row.")


def _house(password: str) -> Iterator[str]:
    yield from _at_least(LEAST[HOUSE], password)


_POLICIES: dict[str, Callable[[str], Iterator[str]]] = {
    HOUSE: _house,
    "none": _none,
    "low": _low,
    "fair": _fair,
    "good": _good,
    "excellent": _excellent,
}
