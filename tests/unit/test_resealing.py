"""The encryption key is replaced: everything that is sealed goes over to the new one, and no key goes that is needed."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.utils import timezone

from idp.connections.oidc import flow
from idp.connections.options import secret, secret_context
from idp.crypto import keys, sealed, sealing
from idp.management.commands import web
from idp.models import Connection, KeyStatus, SamlKey, SigningKey, User
from idp.people import imported_hashes
from idp.saml import own_key
from logout_app.delivery.channels.streams import sealed_for
from logout_app.models import EventStream
from logout_app.operators import encryption_keys
from sessions_app.audit import chain
from sessions_app.models import AuditSeal, SessionEvent, SSOSession
from tests.support.factories import make_connection, make_session, make_user

pytestmark = pytest.mark.django_db
OLD, NEW = "the-old-encryption-key-0123456789", "the-new-encryption-key-0123456789"
PASSWORD = {"a": "sha256", "h": "XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=", "d": "sha256"}  # of `password`
TABLES = {
    "signing keys": len(keys.ALGORITHMS),
    "SAML keys": 1,
    "secrets of connections": 3,
    "hashes of passwords that were imported": 2,
    "authenticator apps and recovery codes": 2,
    "ID tokens of sessions for sign-outs upstream": 2,
    "secrets of streams and webhooks": 2,
}


@pytest.fixture
def rows(settings) -> None:
    """One of everything that is sealed, by the old key."""
    settings.ENCRYPTION_KEYS = [OLD]
    SigningKey.objects.all().delete()
    SamlKey.objects.all().delete()
    keys.ensure()
    own_key.own_key(timezone.now())
    for name in ("acme", "okta"):
        make_connection(name, "oidc", sealed_options={"client_secret": seal(f"of {name}", name, "client_secret")})
    acme = Connection.objects.get(name="acme")
    acme.sealed_options["shared_signals_token"] = seal("token", "acme", "shared_signals_token")
    acme.save()
    for number in range(2):
        user = make_user(f"p{number}@fabrikamcorp.com")
        User.objects.filter(pk=user.pk).update(password=imported_hashes.kept(PASSWORD))
        hint = sealing.seal(f"hint {number}", flow.hint_context(acme))
        make_session(user, connection=acme, upstream={"id_token": hint, "sub": "00u1"})
    q = make_user("q@fabrikamcorp.com")
    make_session(q)
    TOTP.activate(q, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(q)
    earlier = make_user("r@fabrikamcorp.com")
    Authenticator.objects.create(user=earlier, type="totp", data={"secret": "JBSWY3DPEHPK3PXP"})
    stream = EventStream(public_id="str_1", name="hook")
    stream.authorization = sealing.seal("Bearer x", sealed_for(stream, "authorization"))
    stream.secret = sealing.seal("whsec", sealed_for(stream, "secret"))
    stream.save()


def seal(value: str, connection: str, option: str) -> str:
    return sealing.seal(value, secret_context(connection, option))


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def id_of(key: str) -> str:
    return next(iter(sealing._derive((key,))))


def reseal(*arguments: str) -> str:
    out = StringIO()
    call_command("reseal", *arguments, stdout=out)
    return out.getvalue()


def test_every_column_with_envelopes_is_known_here() -> None:
    """Who adds one says in `idp.crypto.sealed` how it is sealed anew; else its key could be taken out too early."""
    columns = {
        field.model
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.name.startswith("sealed_") or "sealed" in str(getattr(field, "help_text", "")).lower()
    }
    known = {store.rows().model for store in sealed.stores()}
    assert columns - known == set()
    assert known - columns == {User, Authenticator}, (
        "hashes that were imported, and what allauth keeps, look like others"
    )


def test_everything_goes_over_to_the_new_key_and_opens_without_the_old_one(rows, settings) -> None:
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert sealed.waiting() == {id_of(OLD): TABLES}
    assert sealed.missing() == {}
    said = json.loads(reseal("--json", "--actor", "operator:mary"))
    assert said == {"sealed_anew": TABLES, "lost": []}
    line = SessionEvent.objects.get(type="secrets_resealed")
    assert (line.actor, line.data) == ("operator:mary", {"act": "resealed", "key": id_of(NEW), "tables": TABLES})
    settings.ENCRYPTION_KEYS = [NEW]
    sealed.refuse_without_needed_keys()
    assert sealed.missing() == {}
    assert [key.status for key in map(_opened, SigningKey.objects.all())] == ["active"] * len(keys.ALGORITHMS)
    assert own_key.opened(SamlKey.objects.get()).private_pem.startswith("-----BEGIN")
    acme = Connection.objects.get(name="acme")
    assert (secret(acme, "client_secret"), secret(acme, "shared_signals_token")) == ("of acme", "token")
    assert User.objects.get(email="p1@fabrikamcorp.com").check_password("password")
    assert len(RecoveryCodes(Authenticator.objects.get(type="recovery_codes")).get_unused_codes()) == 10
    for row in Authenticator.objects.filter(type="totp"):
        assert TOTP(row).validate_code(code_of("JBSWY3DPEHPK3PXP")), "also what was set up before they were sealed"
    session = SSOSession.objects.filter(upstream__has_key="id_token").latest("pk")
    assert session.upstream["sub"] == "00u1"
    assert sealing.unseal(session.upstream["id_token"], flow.hint_context(acme)) == "hint 1"
    stream = EventStream.objects.get()
    assert sealing.unseal(stream.secret, sealed_for(stream, "secret")) == "whsec"


def _opened(row: SigningKey) -> SigningKey:
    keys._load(row)
    return row


def test_whoever_was_killed_goes_on_and_twice_is_once(rows, settings) -> None:
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    going = sealed.reseal(batch=1)
    done = next(going).anew + next(going).anew  # of two tables, or of one with two rows
    going.close()
    left = sum(TABLES.values()) - done
    assert 0 < done < left, "each batch stands when it is told of"
    assert sum(sealed.waiting()[id_of(OLD)].values()) == left
    assert sum(json.loads(reseal("--json", "--batch", "1"))["sealed_anew"].values()) == left
    before = list(SSOSession.objects.order_by("pk").values_list("upstream", flat=True))
    again = reseal()
    assert "signing keys: 0 sealed anew, 4 were" in again
    assert "Everything is sealed by the first key" in again
    assert list(SSOSession.objects.order_by("pk").values_list("upstream", flat=True)) == before


def test_what_cannot_be_opened_is_named_and_keeps_nothing_else(rows, settings) -> None:
    Connection.objects.filter(name="okta").update(sealed_options={"client_secret": seal("moved", "elsewhere", "x")})
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    with pytest.raises(CommandError, match="connection:okta:client_secret: the sealed value was altered or moved"):
        reseal()
    assert sealed.waiting() == {id_of(OLD): {"secrets of connections": 1}}


# --- a key is missing ------------------------------------------------------------------------------------------------------
def test_no_process_starts_without_a_key_that_is_needed(rows, settings, monkeypatch) -> None:
    settings.ENCRYPTION_KEYS = [NEW]
    monkeypatch.setattr(web.os, "execv", lambda *_: pytest.fail("it started"))
    with pytest.raises(ImproperlyConfigured) as refused:
        call_command("web")
    assert f"CURFEW_ENCRYPTION_KEYS lacks the key {id_of(OLD)}" in str(refused.value)
    assert "authenticator apps and recovery codes (2)" in str(refused.value)
    assert "secrets of connections (3)" in str(refused.value)
    assert "upstream" not in str(refused.value), "a hint that is lost keeps nobody from working"


def test_the_key_of_an_empty_list_is_called_by_its_name(rows, settings) -> None:
    settings.ENCRYPTION_KEYS = []
    reseal_by = sealing.key_id_of_secret_key()
    Connection.objects.filter(name="okta").update(sealed_options={"client_secret": seal("s", "okta", "client_secret")})
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    with pytest.raises(ImproperlyConfigured, match="lacks the value of SECRET_KEY"):
        sealed.refuse_without_needed_keys()
    assert reseal_by in sealed.missing()


def test_what_a_lost_key_sealed_is_taken_away_if_somebody_says_so(rows, settings, monkeypatch) -> None:
    settings.ENCRYPTION_KEYS = [NEW]
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match="Nothing was done"):
        reseal("--discard", id_of(OLD))
    assert json.loads(reseal("--discard", id_of(OLD), "--json")) == {"discarded": TABLES}
    sealed.refuse_without_needed_keys()
    assert sealed.missing() == {}
    assert SigningKey.objects.filter(status=KeyStatus.GONE, gone_at__isnull=False).count() == len(keys.ALGORITHMS)
    assert keys.sign({"iss": "x"}), "a new key was made"
    assert Connection.objects.get(name="acme").sealed_options == {}
    assert list(Authenticator.objects.values_list("user__email", flat=True)) == ["r@fabrikamcorp.com"]
    assert not User.objects.get(email="p1@fabrikamcorp.com").has_usable_password()
    assert SSOSession.objects.filter(upstream={"sub": "00u1"}).count() == 2
    assert SessionEvent.objects.get(type="secrets_resealed").data["act"] == "discarded"


@pytest.mark.parametrize("key", [NEW, OLD, "another"])
def test_nothing_is_taken_away_that_can_be_opened(rows, settings, key: str) -> None:
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    with pytest.raises(CommandError, match="No key"):
        reseal("--discard", id_of(key), "--no-input")


# --- doctor ----------------------------------------------------------------------------------------------------------------
def test_doctor_says_which_keys_are_missing_which_still_seal_and_which_can_go(rows, settings) -> None:
    settings.ENCRYPTION_KEYS = [OLD]
    assert encryption_keys.verdict() == "There is one encryption key, and it seals everything."
    now = timezone.now()
    digest = next(iter(sealing.digest_keys(chain.PURPOSE)))
    AuditSeal.objects.create(after=0, last=1, lines=1, newest_at=now, previous="", at=now, key_id=digest, digest="x")
    settings.ENCRYPTION_KEYS = [NEW, OLD]
    assert encryption_keys.missing() == []
    (sentence,) = encryption_keys.old_ones()
    assert f"The key {id_of(OLD)}" in sentence
    assert "signing keys (4)" in sentence
    reseal()
    assert encryption_keys.old_ones() == []
    assert "verify the audit trail" in encryption_keys.verdict()
    AuditSeal.objects.all()._raw_delete("default")
    assert f"{id_of(OLD)} may be taken out" in encryption_keys.verdict()
    AuditSeal.objects.create(after=0, last=1, lines=1, newest_at=now, previous="", at=now, key_id=digest, digest="x")
    settings.ENCRYPTION_KEYS = [NEW]
    (sentence,) = encryption_keys.missing()
    assert "cannot be verified" in sentence
