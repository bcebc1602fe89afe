"""Why a session ended: Auth0's nine names, and ours; and which of them an application hears of when nobody said.

This is decided here and nowhere else: an application that is made here (by the model, the admin, a registration) hears of
everything, because pages promise that applications are told. Where Auth0's own shape is read and it is silent, it means
what it means there.
"""

from enum import StrEnum


class Initiator(StrEnum):
    RP_LOGOUT = "rp-logout"
    IDP_LOGOUT = "idp-logout"
    PASSWORD_CHANGED = "password-changed"
    SESSION_EXPIRED = "session-expired"
    SESSION_REVOKED = "session-revoked"
    ACCOUNT_DELETED = "account-deleted"
    EMAIL_IDENTIFIER_CHANGED = "email-identifier-changed"
    MFA_PHONE_UNENROLLED = "mfa-phone-unenrolled"
    ACCOUNT_DEACTIVATED = "account-deactivated"
    ACCESS_LOST = (
        "access-lost"  # ours: the session goes on, but not at this application, which is no longer for its person
    )
    SHARED_SIGNAL = "shared-signal"  # ours
    DEPROVISIONED = "deprovisioned"  # ours: the source of the person (SCIM) says that they must be out

    NOT_ME = "not-me"  # ours: the person said, by the link of a mail, that something was not them


# Records say ours. An application chooses among the others, and hears of this as it hears of the one that it is a kind of.
_HEARD_AS = {
    Initiator.SHARED_SIGNAL.value: Initiator.IDP_LOGOUT.value,
    Initiator.NOT_ME.value: Initiator.SESSION_REVOKED.value,
}
# Whoever wants to hear of the one hears of the other: what Auth0 calls by one name is no secret because ours says more.
_ALSO_HEARD_AS = {Initiator.DEPROVISIONED.value: Initiator.ACCOUNT_DEACTIVATED.value}
EVERY = tuple(initiator.value for initiator in Initiator if initiator.value not in _HEARD_AS)
# "selected_initiators ... by default rp-logout and idp-logout" of Auth0's client object.
AUTH0_DEFAULT = (Initiator.RP_LOGOUT.value, Initiator.IDP_LOGOUT.value)


def heard_as(initiator: str) -> tuple[str, str]:
    """The two names, maybe the same, one of which an application must have selected to hear of it."""
    name = _HEARD_AS.get(initiator, initiator)
    return name, _ALSO_HEARD_AS.get(name, name)
