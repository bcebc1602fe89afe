"""Texts that an administrator may write or replace, per language: plain, never markup. Pages and mails both fall back to ours.

A mail's text has places in braces, like `{url}`; nothing else in it is looked at, so it cannot read anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LANGUAGES: Mapping[str, str] = {"en": "English", "de": "German", "fr": "French"}
PLACES: Mapping[str, str] = {
    "login": "On the login page, below its heading",
    "sign_up": "On the page of sign-up, below its heading",
    "signed_out": "On the page after a sign-out",
    "footer": "At the foot of every page",
}
LONGEST_TEXT = 500
LONGEST_SUBJECT = 150
LONGEST_BODY = 5000
PLACE = re.compile(r"\{([a-z_]+)\}")
_OPENS = r"\{(?:url|reset_url|code)\}"  # what lets its reader in
_LED_ELSEWHERE = re.compile(rf"[/.?].*{_OPENS}|{_OPENS}.*\.\w")


@dataclass(frozen=True, slots=True)
class MailTemplate:
    """`prefix` names our own template; `needs` must stand in the text, as the mail is of no use without."""

    prefix: str
    title: str
    needs: frozenset[str]
    knows: frozenset[str]


def _mail(prefix: str, title: str, needs: str, knows: str = "") -> MailTemplate:
    return MailTemplate(prefix, title, frozenset(needs.split()), frozenset(f"{needs} tenant address {knows}".split()))


MAILS: Mapping[str, MailTemplate] = {  # by Auth0's names where it has one
    "user_invitation": _mail("invitation", "Invitation", "url", "name connection"),
    "verify_email": _mail("email_confirmation", "Verification of an address", "url"),
    "reset_email": _mail("password_reset_key", "New password", "url"),
    "sign_up": _mail("sign_up", "Sign-up", "url"),
    "sign_up_known": _mail("sign_up_known", "Sign-up with an address that has an account", "url", "reset_url"),
    "verification_code": _mail("sign_in_code", "Code to sign in", "code"),
    "magic_link": _mail("sign_in_link", "Link to sign in", "url"),
    "new_address": _mail("new_address", "New address of one's own", "url"),
}
BY_PREFIX = {f"account/email/{template.prefix}": name for name, template in MAILS.items()}


def page_text(texts: Mapping[str, Any], place: str, language: str, default: str = "en") -> str:
    """In this language, else in the tenant's, else in English, else none."""
    written = texts.get(place)
    if not isinstance(written, Mapping):
        return ""
    return str(written.get(_known(language)) or written.get(default) or written.get("en") or "")


def mail_text(mails: Mapping[str, Any], name: str, language: str) -> tuple[str, str] | None:
    """Subject and body as an administrator wrote them in this language; None: ours. What the rules refuse is never used."""
    written = mails.get(name)
    found = written.get(_known(language)) if isinstance(written, Mapping) else None
    if not isinstance(found, Mapping) or any(mail_problems(name, found)):
        return None
    return found["subject"], found["body"]


def filled(text: str, values: Mapping[str, str]) -> str:
    return PLACE.sub(lambda place: values.get(place[1], place[0]), text)


def text_problems(texts: Any) -> Iterator[str]:
    if not isinstance(texts, Mapping):
        yield "must be an object: place, language, text"
        return
    for place, written in texts.items():
        if place not in PLACES:
            yield f"{place}: is no place; there are {', '.join(PLACES)}"
        elif not isinstance(written, Mapping):
            yield f"{place}: must be an object: language, text"
        else:
            for language, text in written.items():
                if language not in LANGUAGES:
                    yield f"{place}.{language}: is no language; there are {', '.join(LANGUAGES)}"
                elif not isinstance(text, str) or len(text) > LONGEST_TEXT or not text.isprintable():
                    yield f"{place}.{language}: must be one printable line of at most {LONGEST_TEXT} characters"


def mails_problems(mails: Any) -> Iterator[str]:
    if not isinstance(mails, Mapping):
        yield "must be an object: mail, language, subject and body"
        return
    for name, written in mails.items():
        if name not in MAILS:
            yield f"{name}: is no mail; there are {', '.join(MAILS)}"
        elif not isinstance(written, Mapping):
            yield f"{name}: must be an object: language, subject and body"
        else:
            for language, said in written.items():
                if language not in LANGUAGES:
                    yield f"{name}.{language}: is no language; there are {', '.join(LANGUAGES)}"
                else:
                    yield from (f"{name}.{language}: {problem}" for problem in mail_problems(name, said))


def mail_problems(name: str, said: Any) -> Iterator[str]:
    if not isinstance(said, Mapping) or set(said) != {"subject", "body"}:
        yield "must be an object with subject and body"
        return
    subject, body = said["subject"], said["body"]
    if (
        not isinstance(subject, str)
        or not subject.strip()
        or len(subject) > LONGEST_SUBJECT
        or not subject.isprintable()
    ):
        yield f"subject must be one printable line of at most {LONGEST_SUBJECT} characters"
    elif set(PLACE.findall(subject)) - {"tenant"}:
        yield "subject may have {tenant} only: it is read on locked screens"
    if not isinstance(body, str) or not body.strip() or len(body) > LONGEST_BODY or not _is_lines(body):
        yield f"body must be printable text of at most {LONGEST_BODY} characters"
        return
    if any(_leads_elsewhere(word) for word in body.split()):
        yield "body has a place inside another address: what it stands for would be told to whoever is there"
    places = set(PLACE.findall(body))
    if missing := sorted(MAILS[name].needs - places):
        yield f"body has no {' and no '.join(f'{{{place}}}' for place in missing)}"
    if unknown := sorted(places - MAILS[name].knows):
        yield f"body has {{{unknown[0]}}}, which this mail does not know"


def _leads_elsewhere(word: str) -> bool:
    """`https://elsewhere.example/?go={url}` or `{code}.elsewhere.example`: mail programs make links of it without a scheme, too."""
    return bool(_LED_ELSEWHERE.search(word))


def _is_lines(text: str) -> bool:
    return all(line.isprintable() for line in text.replace("\r\n", "\n").split("\n"))


def _known(language: str) -> str:
    """Of `de-at` the text of `de`."""
    return language.partition("-")[0].lower()
