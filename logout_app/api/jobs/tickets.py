"""Links for one person, and mails with them."""

from __future__ import annotations

from typing import Any

from idp.models import User
from logout_app.api.frame import body
from logout_app.api.frame.errors import ApiError
from logout_app.api.frame.operations import Call, Operation
from logout_app.api.jobs import imports
from logout_app.api.people import found
from sessions_app.account import mail

NOT_RESETTABLE = "The user has no password here that a link could change"


def password_change(call: Call) -> Any:
    """Whoever has the link sets a new password: it is for the person only."""
    user = _named(call)
    found.refuse_with_powers(call, user)
    url = mail.new_password_url(user, is_own_address=True)
    if not url:
        raise ApiError(400, NOT_RESETTABLE, "operation_not_supported")
    return {"ticket": url}


def email_verification(call: Call) -> Any:
    user = _named(call)
    found.refuse_with_powers(call, user)
    if not user.email or not mail.may_reset(user):
        raise ApiError(400, "The user has no address here that a link could verify", "operation_not_supported")
    return {"ticket": mail.verification_url(user)}


def verification_email(call: Call) -> Any:
    """Sent by the worker within seconds, unless there were too many."""
    user = _named(call)
    asked = mail.ask_for_verification(user, call.at)
    if asked is None:
        raise ApiError(
            429, "There were too many such mails to this person", "too_many_requests", {"Retry-After": "300"}
        )
    return imports.mail_job(asked)


def _named(call: Call) -> User:
    with body.reading(call.body) as reader:
        user_id = reader.text("user_id", required=True)
        reader.text("client_id")  # whose name the mail would have at Auth0
    return found.person(str(user_id))


OPERATIONS = (
    Operation("POST", "tickets/password-change", ["create:user_tickets"], password_change,
              "A link to a new password, for an hour.", 201),
    Operation("POST", "tickets/email-verification", ["create:user_tickets"], email_verification,
              "A link that proves the address.", 201),
    Operation("POST", "jobs/verification-email", ["update:users"], verification_email, "A mail with such a link.", 201),
)  # fmt: skip
