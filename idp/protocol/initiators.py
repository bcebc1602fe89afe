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


# Records say ours; an application chooses among Auth0's nine, and hears of ours as it hears of the one that it is a kind of.
KIND_OF = {Initiator.SHARED_SIGNAL.value: Initiator.IDP_LOGOUT.value}
EVERY = tuple(initiator.value for initiator in Initiator if initiator.value not in KIND_OF)
# "selected_initiators ... by default rp-logout and idp-logout" of Auth0's client object.
AUTH0_DEFAULT = (Initiator.RP_LOGOUT.value, Initiator.IDP_LOGOUT.value)


def heard_as(initiator: str) -> str:
    """The name by which applications choose whether they hear of this."""
    return KIND_OF.get(initiator, initiator)
