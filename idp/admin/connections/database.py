"""The form of a database connection."""

from __future__ import annotations

from typing import ClassVar

from django import forms

from idp.admin.connections.fields import Topic, choice, lines, tick
from idp.admin.connections.forms import ConnectionForm
from idp.connections.options import PASSWORD_POLICIES


class DatabaseConnectionForm(ConnectionForm):
    signs_out_upstream = False
    topics: ClassVar[tuple[Topic, ...]] = (
        Topic("Passwords", ("passwordPolicy", "brute_force_protection")),
        Topic(
            "Passkeys",
            (
                "passkey_options__enabled",
                "passkey_options__challenge_ui",
                "passkey_options__progressive_enrollment_enabled",
            ),
        ),
        Topic("People", ("disable_signup", "signup_domains", "requires_username", "domain_aliases")),
        Topic("Without a password", ("email_sign_in",)),
    )

    passwordPolicy = forms.ChoiceField(
        label="Password policy",
        choices=[(name, name.title()) for name in PASSWORD_POLICIES],
        initial="good",
        help_text="How strong a new password must be. Passwords that people have already stay valid.",
    )
    brute_force_protection = tick("Slow down guessing", "Of one person's password.", initial=True)
    passkey_options__enabled = tick(
        "Sign in with a passkey",
        "Without a password: it counts as two factors, and no code is asked for.",
        initial=True,
    )
    passkey_options__challenge_ui = choice(
        "How the login page offers it",
        [
            ("", "Both (usual)"),
            ("both", "Both"),
            ("autofill", "Among what the browser fills in"),
            ("button", "A button"),
        ],
        "A browser that cannot fill passkeys in shows the button anyway.",
    )
    passkey_options__progressive_enrollment_enabled = tick(
        "Offer one after a password",
        "To people whose device can keep one and who have none, until they say that they do not want it.",
        initial=True,
    )
    disable_signup = tick(
        "No sign-up", "People come by invitation, or are added by administrators and the API.", initial=True
    )
    signup_domains = lines(
        "Who may sign up",
        "Domains of e-mail addresses, one per line: of these only. Empty: everybody whose address is verified.",
    )
    email_sign_in = choice(
        "Sign-in by mail",
        [
            ("off", "Off"),
            ("code", "By a code, which is typed where one signs in"),
            ("link", "By a link, which is opened in the same browser"),
        ],
        "Whoever reads somebody's mail can sign in as them. A second factor is asked for as after a password.",
    )
    requires_username = tick("Sign in by user name", "People type a user name instead of an e-mail address.")
