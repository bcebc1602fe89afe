"""Rotation of our SAML key, as python3-saml lives through it: with metadata of before, read anew, or never."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from idp.models import SamlKey, SamlKeyStatus, User
from idp.saml import own_key, rotation
from idp.saml.rotation import CannotRotate, RotationStep
from sessions_app.models import SessionEvent
from tests.support.factories import browser, make_session, make_user
from tests.support.saml_sp import Form
from tests.support.upstreams.scripted_saml import NAMES, make_key

LATER = timedelta(days=8)


@pytest.fixture(autouse=True)
def _quick_keys(monkeypatch):
    """A key of 3072 bits takes a second; each of these is another one."""

    def make(at):
        pair = make_key("id.example")
        return pair.private, pair.certificate

    monkeypatch.setattr(own_key, "make", make)


def step(name: str, *, early: bool = True, at=None) -> str:
    return rotation.rotate(RotationStep(name), actor="operator:test", at=at or timezone.now(), early=early)


def statuses() -> list[str]:
    return sorted(SamlKey.objects.values_list("status", flat=True))


def certificates(sp) -> list[str]:
    root = etree.fromstring(Client().get(f"/samlp/metadata/{sp.application.client_id}").content)
    return ["".join(node.text.split()) for node in root.iterfind(".//md:KeyDescriptor//ds:X509Certificate", NAMES)]


def believes(sp) -> bool:
    """Somebody signs in, and the provider says whether it takes what we signed."""
    form = Form.of(browser(make_session(User.objects.first() or make_user())).get(sp.asks()))
    auth = sp.auth(**form.fields)
    auth.process_response(request_id=sp.request_id)
    if auth.get_errors():
        assert "Signature validation failed" in auth.get_last_error_reason()
    return not auth.get_errors()


@pytest.mark.spec("SAML 2.0", "metadata 2.4.1.1", "IP5 During a rotation the metadata have both certificates")
def test_who_reads_our_metadata_anew_notices_nothing_and_who_does_not_is_safe_until_the_successor_signs(sp):
    [old] = certificates(sp)
    assert believes(sp)
    step("publish")
    listed = certificates(sp)
    assert (listed[0], len(listed)) == (old, 2)  # who takes the first only has the one that signs
    assert believes(sp)  # by metadata of before: nothing is signed with it yet
    before, _ = sp.idp, sp.knows(sp.application)
    assert believes(sp)
    after = sp.idp
    step("activate")
    assert certificates(sp) == [listed[1], old]
    assert believes(sp)
    sp.idp = before
    assert not believes(sp)
    sp.application.saml |= {"signingKey": "retiring"}  # it is told later
    sp.application.save()
    assert believes(sp)
    assert certificates(sp)[0] == old
    document = Client().get(f"/samlp/metadata/{sp.application.client_id}").content
    old_pem = SamlKey.objects.get(status=SamlKeyStatus.RETIRING).certificate
    assert OneLogin_Saml2_Utils.validate_metadata_sign(document, cert=old_pem)
    sp.idp = after
    step("withdraw")
    assert certificates(sp) == [listed[1]]
    assert believes(sp)  # the setting means nothing any more


def test_an_application_that_takes_one_certificate_is_moved_before_the_others(sp):
    own_key.own_key(timezone.now())
    step("publish")
    assert believes(sp)
    sp.application.saml |= {"signingKey": "next"}
    sp.application.save()
    assert not believes(sp)
    coming = SamlKey.objects.get(status=SamlKeyStatus.NEXT)
    sp.idp = {key: value for key, value in sp.idp.items() if not key.startswith("x509cert")}
    sp.idp |= {"x509cert": coming.certificate}  # pasted
    assert believes(sp)
    step("activate")
    assert believes(sp)


def test_steps_that_make_no_sense_or_come_too_early_change_nothing_and_say_why(db):
    now = timezone.now()
    for name in ("activate", "withdraw", "discard"):
        with pytest.raises(CannotRotate):
            step(name)
    step("publish", at=now)
    assert statuses() == ["active", "next"]
    with pytest.raises(CannotRotate, match="already"):
        step("publish")
    with pytest.raises(CannotRotate, match="follow our metadata") as early:
        step("activate", early=False, at=now + timedelta(days=6))
    assert early.value.too_early
    step("activate", early=False, at=now + LATER)
    with pytest.raises(CannotRotate, match="follow our metadata"):
        step("withdraw", early=False, at=now + LATER + timedelta(days=6))
    step("withdraw", early=False, at=now + 2 * LATER)
    assert statuses() == ["active"]
    step("publish")
    step("discard")
    assert statuses() == ["active"]
    done = [event.data["step"] for event in SessionEvent.objects.filter(type="saml_key_rotated").order_by("pk")]
    assert done == ["publish", "activate", "withdraw", "publish", "discard"]


def test_a_successor_that_cannot_be_unsealed_does_not_begin_to_sign(db):
    step("publish")
    SamlKey.objects.filter(status=SamlKeyStatus.NEXT).update(sealed_private_key="sealed with a key that is gone")
    with pytest.raises(CannotRotate, match="cannot be unsealed"):
        step("activate")
    assert statuses() == ["active", "next"]


def test_the_command_asks_and_says_what_there_is(db, monkeypatch, capsys):
    call_command("rotate_saml_key")
    assert "none yet" in capsys.readouterr().out
    call_command("rotate_saml_key", "publish")
    monkeypatch.setattr("sys.stdin", io.StringIO())  # `kubectl exec` without -it
    with pytest.raises(CommandError, match="Nothing was done"):
        call_command("rotate_saml_key", "activate", "--early")
    with pytest.raises(CommandError, match="--early"):
        call_command("rotate_saml_key", "activate", "--no-input")
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match="Nothing was done"):
        call_command("rotate_saml_key", "activate", "--early")
    assert statuses() == ["active", "next"]
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    capsys.readouterr()
    call_command("rotate_saml_key", "activate", "--early", "--actor", "operator:mary")
    said = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert said[1:] == ["STATUS", "active", "retiring"]
    assert SessionEvent.objects.filter(type="saml_key_rotated", actor="operator:mary").count() == 1


def test_the_console_asks_before_each_step(sp):
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    admin_browser = browser(make_session(boss))
    key = own_key.own_key(timezone.now())
    active = SamlKey.objects.get(certificate=key.certificate_pem)

    def act(row, name, **posted):
        url = reverse("admin:idp_samlkey_act", args=(row.pk, name))
        asked = admin_browser.get(url)
        assert asked.status_code == 200, asked.headers
        return asked.content.decode(), admin_browser.post(url, posted, follow=True).content.decode()

    act(active, "publish")
    assert "a successor already" in act(active, "publish")[1]
    assert LogEntry.objects.filter(change_message="Publish a successor").count() == 1  # a step that was refused is none
    coming = SamlKey.objects.get(status=SamlKeyStatus.NEXT)
    asked, answer = act(coming, "activate")
    assert "follow our metadata" in asked
    assert "This field is required" in answer
    sp.application.saml |= {"signingKey": "retiring"}
    sp.application.save()
    asked, answer = act(coming, "activate", early="on")
    assert "retiring key by their own setting: Wiki" in asked
    assert "signs; the one before" in answer
    pasted = admin_browser.get(reverse("admin:idp_application_change", args=(sp.application.pk,))).content.decode()
    assert "Certificate besides" in pasted
    act(active, "withdraw", early="on")
    assert statuses() == ["active"]
    assert SessionEvent.objects.filter(type="saml_key_rotated", actor__startswith="admin:").count() == 3
