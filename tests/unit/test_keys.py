import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import KeySet

from idp.crypto import keys, lifetimes, rotation
from idp.crypto.rotation import Mover
from idp.models import KeyStatus, ResourceServer, SigningKey
from sessions_app.models import SessionEvent
from tests.support.factories import make_application

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def kid_of(status, algorithm="RS256"):
    return SigningKey.objects.get(algorithm=algorithm, status=status).kid


def published():
    return {key["kid"] for key in keys.published()["keys"]}


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_what_we_sign_verifies_against_what_we_publish(algorithm):
    token = keys.sign({"iss": "x"}, algorithm=algorithm, typ="logout+jwt")
    decoded = jwt.decode(token, KeySet.import_key_set(keys.published()), algorithms=[algorithm])
    assert decoded.claims == {"iss": "x"}
    assert decoded.header["typ"] == "logout+jwt"


def test_published_keys_hold_nothing_private():
    keys.ensure()
    assert {"d", "p", "q"} & {name for key in keys.published()["keys"] for name in key} == set()


def test_rotation_publishes_before_it_signs_and_keeps_the_old_key_until_its_tokens_are_gone(settings):
    settings.JWKS_MAX_AGE, settings.SIGNING_KEY_DAYS = 600, 30
    keys.ensure()
    start = timezone.now() + timedelta(days=30)
    old = kid_of("active")
    assert rotation.rotate(start - timedelta(minutes=5)) == []
    assert {move.act for move in rotation.rotate(start)} == {"published"}
    assert kid_of("active") == old
    new = kid_of("next")
    assert new in published()
    early = start + timedelta(minutes=20) - SECOND
    assert rotation.rotate(early, force=True) == [], "a copy of a copy of the set may not have it yet"
    stopped = start + timedelta(minutes=20)
    rotation.rotate(stopped)
    assert (kid_of("active"), kid_of("retiring")) == (new, old)
    gone = stopped + timedelta(days=1, minutes=20)
    assert rotation.rotate(gone - SECOND) == []
    assert old in published()
    rotation.rotate(gone)
    assert old not in published()


def test_who_asks_for_a_successor_need_not_come_back():
    keys.ensure()
    now = timezone.now()
    rotation.rotate(now, force=True)
    assert {move.act for move in rotation.rotate(now + lifetimes.ahead())} == {"active", "retiring"}


@pytest.mark.parametrize("of", ["application", "api"])
def test_a_key_stays_for_the_longest_token_that_it_signed_although_it_would_be_shorter_now(of):
    keys.ensure()
    month = 30 * 86400
    if of == "application":
        row, field = make_application(), "id_token_lifetime"
    else:
        row, field = ResourceServer.objects.create(identifier="https://api.example/"), "token_lifetime"
    for seconds in (month, 60):
        setattr(row, field, seconds)
        row.save()
    now = timezone.now()
    rotation.rotate(now, force=True)
    rotation.rotate(now + lifetimes.ahead())
    old = SigningKey.objects.get(algorithm="ES256", status="retiring")
    rotation.rotate(old.retired_at + timedelta(days=30))
    assert old.kid in published()
    rotation.rotate(old.retired_at + timedelta(days=30) + lifetimes.ahead())
    assert old.kid not in published()
    young = SigningKey.objects.get(algorithm="ES256", status="active")
    assert young.longest_token <= 86400, "what nobody can have from the new key does not keep it"


def test_lifetimes_that_no_save_told_of_are_found_when_keys_move():
    keys.ensure()
    make_application()
    ResourceServer.objects.create(identifier="https://api.example/")
    ResourceServer.objects.update(token_lifetime=5 * 86400)
    rotation.rotate(timezone.now())
    assert set(SigningKey.objects.values_list("longest_token", flat=True)) == {5 * 86400}


# --- stolen ----------------------------------------------------------------------------------------------------------
def test_a_stolen_key_is_gone_at_once_with_its_successor_and_the_others_stay():
    keys.ensure()
    now = timezone.now()
    rotation.rotate(now, force=True)
    others = set(SigningKey.objects.exclude(algorithm="RS256").values_list("kid", "status"))
    stolen = {kid_of("active"), kid_of("next")}
    token = keys.sign({"iss": "x"})
    rotation.withdraw(now, ["RS256"], mover=Mover("operator:root"))
    assert not stolen & published()
    assert set(SigningKey.objects.exclude(algorithm="RS256").values_list("kid", "status")) == others
    assert jwt.decode(keys.sign({"iss": "y"}), KeySet.import_key_set(keys.published())).claims == {"iss": "y"}
    with pytest.raises(InvalidKeyIdError):
        jwt.decode(token, KeySet.import_key_set(keys.published()))
    lines = SessionEvent.objects.filter(type="signing_key_moved", actor="operator:root")
    assert sorted((line.data["act"], line.data["kid"] in stolen) for line in lines) == [
        ("active", False),
        ("withdrawn", True),
        ("withdrawn", True),
    ]


def test_what_dies_is_said_before_and_nothing_is_done_without_a_yes(monkeypatch):
    keys.ensure()
    make_application()
    ResourceServer.objects.create(identifier="https://api.example/", token_dialect="access_token")
    before, out = published(), StringIO()
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match="Nothing was done"):
        call_command("rotate_keys", "--now", "--algorithm", "RS256", stdout=out)
    assert published() == before
    assert "https://api.example/" in out.getvalue()
    assert "1 application of today" in out.getvalue()
    call_command("rotate_keys", "--now", "--no-input", stdout=out)
    assert not before & published()
    before = published()
    call_command("rotate_keys", "--now", "--no-input", "--algorithm", "RS256", "--algorithm", "RS256", stdout=out)
    assert len(before - published()) == 1, "named twice is once"


def test_the_command_rotates_and_shows_each_key_with_its_dates():
    keys.ensure()
    out = StringIO()
    call_command("rotate_keys", "--json", "--actor", "operator:mary", stdout=out)
    said = json.loads(out.getvalue())
    assert len(said["done"]) == len(keys.ALGORITHMS)
    assert {(row["state"], bool(row["signs_from"])) for row in said["keys"]} == {("active", True), ("next", True)}
    assert SessionEvent.objects.filter(type="signing_key_moved", actor="operator:mary").count() == len(said["done"])
    call_command("rotate_keys", stdout=out)
    assert "published already" in out.getvalue()
    call_command("rotate_keys", "--list", stdout=out)
    assert SigningKey.objects.filter(status=KeyStatus.ACTIVE).count() == len(keys.ALGORITHMS)


@pytest.mark.parametrize("wrong", [["--algorithm", "RS256"], ["--list", "--now"]])
def test_what_does_not_go_together_is_said(wrong):
    with pytest.raises(CommandError):
        call_command("rotate_keys", *wrong)
