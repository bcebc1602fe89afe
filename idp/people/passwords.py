"""Whether a hash is that of a password, in whichever of its forms it was typed now and then."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.hashers import check_password, make_password
from django.views.decorators.debug import sensitive_variables

from idp.protocol.text import normal_forms


@dataclass(frozen=True, slots=True)
class Match:
    is_outdated: bool  # the hash is of another form than ours, or by another hasher


@sensitive_variables("typed")
def match(stored: str, typed: str) -> Match | None:
    """Two hashes at most; one for a password of ASCII letters."""
    for spelling in normal_forms.password_spellings(typed):
        renewals: list[str] = []
        if check_password(spelling, stored, renewals.append):
            return Match(bool(renewals) or spelling != normal_forms.password(typed))
    return None


def matches(stored: str, typed: str) -> bool:
    return match(stored, typed) is not None


def hashed(password: str) -> str:
    return make_password(normal_forms.password(password))
