"""Auth0's five password policies and that of the house, wherever a new password is given."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from idp.models import User
from idp.people import password_policy
from sessions_app.account import mail
from sessions_app.tasks import send_mails
from tests.support.factories import PASSWORD, browser, make_connection, make_session, make_user

LONG = "fuchsia otter volcano"


@pytest.mark.once
@pytest.mark.parametrize(
    ("policy", "good", "bad"),
    [
        ("", ["aaaaaaab", LONG], ["otter-7", "password123", "x" * 513, "otter\0volcano"]),
        ("none", ["a", "password"], ["", "x" * 513]),
        ("low", ["otter7"], ["otter", "123456"]),
        ("fair", ["Otter777"], ["otter777", "OTTER777", "OtterOtter", "Otter77"]),
        ("good", ["Otter777", "otter-777", "OTTER-777", "Otter-otter"], ["otter777", "otter-otter", "Ott-77"]),
        (
            "excellent",
            ["Otte-7-volcano"],
            ["Otter-777-volcano", "Otter-77", "otter7volcano", "oooOTTER-7x"],
        ),
    ],
)
def test_each_policy_means_what_auth0_means(policy, good, bad):
    for password in good:
        assert password_policy.problems(password, policy) == [], password
    for password in bad:
        assert password_policy.problems(password, policy), password


@pytest.mark.django_db
def test_the_policy_is_that_of_the_persons_connection():
    strict = make_connection("Strict", options={"passwordPolicy": "excellent"})
    loose = make_connection("Loose", options={"passwordPolicy": "low"})
    mary, john = make_user(connection=strict), make_user("john@fabrikamcorp.com", connection=loose)
    assert password_policy.policies_of(mary) == {"excellent"}
    password_policy.ConnectionPolicy().validate("otter7", john)
    with pytest.raises(ValidationError) as refused:
        password_policy.ConnectionPolicy().validate("otter7", mary)
    assert refused.value.messages[0].startswith("This password is too short. It must have at least 10 characters.")


@pytest.mark.django_db
def test_nothing_that_resembles_the_account():
    with pytest.raises(ValidationError, match="too similar to the email"):
        password_policy.ConnectionPolicy().validate("mary@fabrikamcorp", make_user())


@pytest.mark.django_db
def test_a_policy_that_is_unknown_is_that_of_the_house():
    mary = make_user(connection=make_connection("Odd", options={"passwordPolicy": "heroic"}))
    assert password_policy.policies_of(mary) == {""}


@pytest.mark.django_db
@pytest.mark.parametrize("way", ["change", "reset", "admin"])
def test_every_way_to_a_new_password_asks_the_policy(way, mailoutbox):
    mary = make_user(connection=make_connection("Strict", options={"passwordPolicy": "excellent"}))
    post = {"change": _change, "reset": _reset, "admin": _admin}[way](mary, mailoutbox)

    post("otter777")
    mary.refresh_from_db()
    assert mary.check_password(PASSWORD)
    post("Otter-7-volcano")
    mary.refresh_from_db()
    assert mary.check_password("Otter-7-volcano")


def _change(mary, mailoutbox):
    client = browser(make_session(mary))
    data = {"oldpassword": PASSWORD}
    return lambda new: client.post(reverse("account_change_password"), {**data, "password1": new, "password2": new})


def _reset(mary, mailoutbox):
    mail.ask_for_reset(mary.email, timezone.now())
    send_mails()
    client = browser()
    form = client.get(re.search(r"http://[^/]+(/\S+)", mailoutbox[-1].body)[1])["Location"]
    return lambda new: client.post(form, {"password1": new, "password2": new})


def _admin(mary, mailoutbox):
    admin = User.objects.create_superuser(email="admin@fabrikamcorp.com")
    client = browser(make_session(admin))
    return lambda new: client.post(f"/admin/idp/user/{mary.pk}/act/password/", {"password": new})
