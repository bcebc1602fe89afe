"""Why a session ended: Auth0's nine names."""

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
