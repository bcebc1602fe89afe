"""Why a session ended, in the words of SAML (SAML core section 3.7.3): somebody wished it, or an administrator or a rule did."""

from __future__ import annotations

from idp.protocol.initiators import Initiator

USER = "urn:oasis:names:tc:SAML:2.0:logout:user"
ADMIN = "urn:oasis:names:tc:SAML:2.0:logout:admin"
BY_THE_PERSON = frozenset({Initiator.RP_LOGOUT.value, Initiator.IDP_LOGOUT.value, Initiator.PASSWORD_CHANGED.value})


def reason(initiator: str) -> str:
    return USER if initiator in BY_THE_PERSON else ADMIN
