"""Status codes of an identity provider that says no (SAML core section 3.2.2.2), as sentences."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from idp.connections.contract import UpstreamRefused, UpstreamUnmet
from idp.protocol import assurance
from idp.saml import statuses
from idp.saml.names import STATUS, samlp
from idp.saml.xml import Element

LONGEST_MESSAGE = 300
SENTENCES = {  # they follow the name of the connection and "says:"
    "AuthnFailed": gettext_noop("it could not be confirmed who you are."),
    "RequestDenied": gettext_noop("this sign-in was not allowed."),
    "NoPassive": gettext_noop("you need to sign in there first."),
    "UnknownPrincipal": gettext_noop("this account is not known."),
    "NoAuthnContext": gettext_noop("you cannot be identified in the way that was asked for."),
    "InvalidNameIDPolicy": gettext_noop("there is no user id for you that may be given away."),
    "RequestUnsupported": gettext_noop("this kind of sign-in is not supported."),
}
OTHER = gettext_noop("you could not be signed in.")


def refusal(root: Element, *, authentic: bool) -> UpstreamRefused:
    """What the response says in words is shown only if its signature was checked: anybody can write a sentence."""
    codes = [code.removeprefix(STATUS) for code in statuses.codes(root)]
    known = next((code for code in reversed(codes) if code in SENTENCES), "")
    message = _message(root)
    sentence = message if message and authentic else SENTENCES.get(known, OTHER)
    detail = f"{' / '.join(code[:100] for code in codes)}: {message or 'no message'}"
    if known == "NoAuthnContext":
        return UpstreamUnmet(sentence, error=assurance.UNMET, detail=detail)
    return UpstreamRefused(sentence, error="login_required" if known == "NoPassive" else "access_denied", detail=detail)


def _message(root: Element) -> str:
    text = root.findtext(f"{samlp('Status')}/{samlp('StatusMessage')}") or ""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:LONGEST_MESSAGE]
