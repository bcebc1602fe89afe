"""What an entry of a directory says about a person: who, whether they may come in, and how they are called."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext_noop

from idp.connections.contract import Account, UpstreamFault, UpstreamRefused
from idp.connections.ldap.conversation import DirectoryEntry, SearchAnswer
from idp.connections.ldap.options import LdapOptions
from idp.protocol.text import normal_forms

CLAIMS = {
    "name": ("displayName", "cn"),
    "given_name": ("givenName",),
    "family_name": ("sn",),
    "nickname": ("sAMAccountName", "uid"),
    "preferred_username": ("userPrincipalName", "uid", "sAMAccountName"),
    "phone_number": ("telephoneNumber",),
}
STATE = ("userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime", "pwdReset", "loginDisabled")
KEYS = ("objectGUID", "entryUUID", "nsUniqueId")
PRINCIPAL = "msDS-PrincipalName"  # DOMAIN\user, as Active Directory makes it up for whoever asks
ACCOUNT_DISABLED = 0x2  # userAccountControl, MS-ADTS section 2.2.16
LONGEST_NUMBER = 19  # digits of 64 bits; Python refuses to read thousands of them
NEVER = {0, 0x7FFFFFFFFFFFFFFF}  # accountExpires, in units of 100 ns since 1601
LOCKED_FOR_GOOD = "000001010000Z"  # pwdAccountLockedTime of an account that an administrator closed
WINDOWS_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)

DISABLED = gettext_noop(
    "Your account is disabled in the directory of your organisation. Please ask your administrator."
)
EXPIRED_ACCOUNT = gettext_noop(
    "Your account in the directory of your organisation has expired. Please ask your administrator."
)
MUST_CHANGE = gettext_noop(
    "You must change your password before you can sign in. Please change it at work, then try again."
)
EXPIRED_PASSWORD = gettext_noop("Your password has expired. Please change it at work, then try again.")
LOCKED = gettext_noop(
    "Your account is locked in the directory of your organisation after too many wrong passwords. Please wait, or ask your administrator."
)
NOT_NOW = gettext_noop("Your organisation does not let you sign in at this time.")
NOT_HERE = gettext_noop("Your organisation does not let you sign in from here.")

# MS-ADTS section 5.1.1.5 and Win32 error codes. All but 775 are said only to somebody who knows the password; 775 is
# said by the directory to everybody who asks, so that hiding it here would hide it from its owner alone.
_LABEL = re.compile(r"(?:^|,)\s*dc=([^,]+)", re.IGNORECASE)
_SAYS = re.compile(r"\bdata ([0-9a-fA-F]{3,8})\b")
REFUSALS = {
    "530": NOT_NOW,
    "531": NOT_HERE,
    "532": EXPIRED_PASSWORD,
    "533": DISABLED,
    "701": EXPIRED_ACCOUNT,
    "773": MUST_CHANGE,
    "775": LOCKED,
}


def attributes_for(options: LdapOptions) -> list[str]:
    """Everything that is read of an entry."""
    names = [*KEYS, *STATE, "mail", options.group_attribute, *options.login_attributes]
    return list(dict.fromkeys([*names, *(name for sources in CLAIMS.values() for name in sources)]))


def key_of(entry: DirectoryEntry) -> str:
    """The id that survives every renaming: objectGUID of Active Directory, entryUUID of RFC 4530. Raises UpstreamFault."""
    if (guid := entry.attributes.get("objectguid")) and len(guid[0]) == 16:
        return str(uuid.UUID(bytes_le=guid[0]))
    for name in ("entryUUID", "nsUniqueId"):
        if text := entry.text(name):
            return text.lower()
    raise UpstreamFault(f"{entry.dn} has neither objectGUID nor entryUUID; may the service account read them?")


def is_called(entry: DirectoryEntry, login: str, options: LdapOptions) -> bool:
    """Whether the entry is called what was typed, letter for letter but for upper and lower case and the form of accents.

    Directories match more generously (spaces, accents, wide letters): each such spelling would be another budget of guesses.
    """
    typed = normal_forms.name(login)
    names = (name for attribute in options.login_attributes for name in entry.texts(attribute))
    return any(typed == normal_forms.name(name) for name in names)


def domain_of(dn: str) -> list[str]:
    """The labels of the DNS name in a distinguished name, in lower case."""
    return [label.lower() for label in _LABEL.findall(dn)]


def account_of(entry: DirectoryEntry, options: LdapOptions) -> Account:
    """The address counts as unverified, unless the connection says otherwise: in many directories people write it themselves."""
    profile: dict[str, Any] = {}
    for claim, sources in CLAIMS.items():
        if text := next((entry.text(name) for name in sources if entry.text(name)), ""):
            profile[claim] = text
    if groups := entry.texts(options.group_attribute):
        profile["groups"] = sorted(groups)
    return Account(sub=key_of(entry), email=entry.text("mail"), profile=_storable(profile))


def check_state(entry: DirectoryEntry, at: datetime) -> None:
    """Raises UpstreamRefused for an account that its administrator closed, also where the server binds it all the same."""
    if _number(entry, "userAccountControl") & ACCOUNT_DISABLED:
        raise UpstreamRefused(DISABLED, detail="userAccountControl says disabled")
    for name in ("nsAccountLock", "loginDisabled"):
        if entry.text(name).upper() == "TRUE":
            raise UpstreamRefused(DISABLED, detail=f"{name} is TRUE")
    if entry.text("pwdAccountLockedTime") == LOCKED_FOR_GOOD:
        raise UpstreamRefused(DISABLED, detail="pwdAccountLockedTime says closed for good")
    expires = _number(entry, "accountExpires")
    if expires not in NEVER and expires <= (at - WINDOWS_EPOCH) // timedelta(microseconds=1) * 10:
        raise UpstreamRefused(EXPIRED_ACCOUNT, detail="accountExpires is over")
    if entry.text("pwdReset").upper() == "TRUE":
        raise UpstreamRefused(MUST_CHANGE, detail="pwdReset is TRUE")


def refusal_of(answer: SearchAnswer) -> UpstreamRefused | None:
    """Why Active Directory refused a bind, where it says so; None for a wrong password."""
    code = match[1].lower() if (match := _SAYS.search(answer.diagnostic)) else ""
    return UpstreamRefused(REFUSALS[code], detail=f"the directory says {code}") if code in REFUSALS else None


def _number(entry: DirectoryEntry, name: str) -> int:
    text = entry.text(name)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER else 0


def _storable(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Without NUL, which PostgreSQL keeps in no text; a group whose name has one is not made into another group."""
    return {
        name: [item for item in value if "\0" not in item] if isinstance(value, list) else value.replace("\0", "")
        for name, value in profile.items()
    }
