"""The one form in which names, addresses and passwords are kept and compared, whatever keyboard or system wrote them.

macOS hands out `e` and an accent where Windows hands out one letter; to people both are the same. Names follow RFC 8265's
UsernameCaseMapped profile (section 3.3), passwords its OpaqueString profile (section 4.2), which is also the NFC of NIST
SP 800-63B-4 section 3.1.1.2. Where RFC 8265 forbids a letter that Unicode keeps for compatibility, a name that has it is
one of its own: the Kelvin sign is not `k`, and a wide `a` is not `a`.
"""

from __future__ import annotations

import itertools
import unicodedata
from typing import Final

NFC: Final = "NFC"
NFD: Final = "NFD"


def name(text: str) -> str:
    """A user name or an e-mail address as it is kept and compared: NFC in lower case (not case folding: ß is not ss)."""
    if text.isascii():
        return text.lower()
    runs = itertools.groupby(text, key=_stands_for_another)
    return "".join("".join(run) if other else _lower("".join(run)) for other, run in runs)


def is_longer_than(most: int, text: str) -> bool:
    """As it is typed or as it is kept: the lower case of some letters has more of them (U+0130)."""
    return len(text) > most or len(name(text)) > most


def has_look_alike(text: str) -> bool:
    """Whether a letter stands for another one, which no new user name may have (RFC 8264 section 9.17)."""
    return any(map(_stands_for_another, text))


def spellings(text: str) -> tuple[str, ...]:
    """The forms in which a name may be kept that is shown as it was given; one for ASCII letters, of which databases know cases."""
    if text.isascii():
        return (text,)
    return tuple(dict.fromkeys((text, name(text), *(unicodedata.normalize(form, text) for form in (NFC, NFD)))))


def ascii_lower(text: str) -> str:
    """Lower case of A to Z only, as names were kept before."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def password(text: str) -> str:
    """A password as it is hashed: NFC, every kind of space as U+0020 (a Mac types U+00A0 with the option key held)."""
    if text.isascii():
        return text
    spaced = "".join(" " if unicodedata.category(letter) == "Zs" else letter for letter in text)
    return unicodedata.normalize(NFC, spaced)


def password_spellings(typed: str) -> tuple[str, ...]:
    """What the stored hash may be of, at most two: the form above, and what would have been hashed before there was one.

    That is what was typed or, where that is the form above, how macOS would have written it.
    """
    kept = password(typed)
    before = typed if typed != kept else unicodedata.normalize(NFD, typed)
    return (kept,) if before == kept else (kept, before)


def _lower(text: str) -> str:
    return unicodedata.normalize(NFC, unicodedata.normalize(NFC, text).lower())


def _stands_for_another(letter: str) -> bool:
    """A letter that Unicode maps to another by compatibility, or to one other letter (U+212A, the Kelvin sign)."""
    mapping = unicodedata.decomposition(letter)
    return bool(mapping) and (mapping.startswith("<") or " " not in mapping)
