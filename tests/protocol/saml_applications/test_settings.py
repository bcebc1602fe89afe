"""What an application that speaks SAML may say of itself, and where it is said: the rulebook, metadata, services that are known."""

from __future__ import annotations

import base64
import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from idp.admin.connections.saml_applications import PRESETS, ImportForm, warnings
from idp.applications import rules
from idp.connections import rules as connection_rules
from idp.connections.saml import decryption
from idp.http.serving import environ
from idp.models import Application
from idp.saml import sp_metadata
from idp.saml.application import importing, refreshing
from idp.saml.application.importing import NotImported
from tests.support.factories import browser, make_application, make_session, make_user
from tests.support.upstreams.scripted_saml import NAMES, key_descriptor, make_key, the_key

pytestmark = pytest.mark.django_db
BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:"
KEY = the_key("sp.example")
GOOD = {"audience": "https://wiki.example/saml"}


def of_an_unknown_kind(pem: str) -> str:
    """In place of RSA it names an algorithm that there is not."""
    heading, body, footing = re.fullmatch(r"(-----.*?-----)(.*?)(-----.*-----)\s*", pem, re.S).groups()
    der = base64.b64decode(body).replace(bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a864886f70d01014f"))
    return f"{heading}\n{base64.b64encode(der).decode()}\n{footing}\n"


def said_of(saml, **fields):
    row = make_application("Wiki", redirect_uris="https://wiki.example/acs", grant_types=[], saml=saml, **fields)
    return row, [str(problem) for problem in rules.problems(row)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"audience": ""}, "audience: it is missing"),
        ({"audiance": "x"}, "audiance: it is not known here"),
        ({"logout": {"slo": "x"}}, "logout.slo: it is not known here"),
        ({"signatureAlgorithm": "hmac-sha256"}, "signatureAlgorithm: it must be one of rsa-sha256, rsa-sha1"),
        ({"digestAlgorithm": "md5"}, "digestAlgorithm: it must be one of"),
        ({"signResponse": "yes"}, "signResponse: it must be true or false"),
        ({"signAssertion": False}, "signAssertion: the response, the assertion or both must be signed"),
        ({"lifetimeInSeconds": True}, "lifetimeInSeconds: it must be a number of seconds"),
        ({"nameIdentifierFormat": "kerberos"}, "nameIdentifierFormat: it must be one of"),
        ({"signingCert": "nonsense"}, "signingCert: it is not an X.509 certificate"),
        ({"signingCert": of_an_unknown_kind(KEY.certificate)}, "signingCert: it has a key of a kind or curve"),
        ({"wantsSignedRequests": True}, "signingCert: it is missing"),
        ({"mappings": ["email"]}, "mappings: it must be an object"),
        ({"acsIndexes": {"1": "https://evil.example/acs"}}, "acsIndexes.1: it is none of the callbacks"),
        ({"logout": {"callback": "javascript:alert(1)"}}, "logout.callback"),
        ({"logout": {"url": "http://localhost:8000/logout"}}, "the identity provider's own origin"),
        ({"logout": {"soap": "http://169.254.169.254/"}}, "logout.soap: it"),
        ({"metadataUrl": "file:///etc/passwd"}, "metadataUrl"),
        ({"logout": "https://wiki.example/slo"}, "logout: it must be an object"),
    ],
)
def test_what_it_may_not_say_is_named_and_switches_all_of_it_off(wrong, reason):
    row, problems = said_of({**GOOD, **wrong})
    assert any(reason in problem for problem in problems), problems
    assert not row.usable.saml


def test_a_private_key_of_a_kind_that_is_not_known_is_a_mistake_and_no_fault_of_ours():
    with pytest.raises(decryption.BadKey):
        decryption.read(of_an_unknown_kind(KEY.private))


def test_what_follows_for_the_plan_of_logouts_is_saved_with_the_settings():
    row, problems = said_of(
        {**GOOD, "logout": {"callback": "https://wiki.example/slo", "soap": "https://wiki.example/soap"}}
    )
    assert problems == []
    assert (row.saml_logout_uri, row.saml_soap_logout_uri) == ("https://wiki.example/slo", "https://wiki.example/soap")
    row.saml = {**row.saml, "logout": {"callback": "https://wiki.example/slo", "slo_enabled": False}}
    row.save(update_fields=["saml"])
    row.refresh_from_db()
    assert (row.saml_logout_uri, row.saml_soap_logout_uri) == ("", "")


def test_no_connection_and_no_application_take_each_others_addresses():
    assert connection_rules.name_problem("metadata")
    _, problems = said_of(GOOD, client_id="metadata")
    assert any("the address is taken" in problem for problem in problems)


def document(*, keys=(KEY.body,), more="", entity="https://wiki.example/saml", valid_until=""):
    until = f' validUntil="{valid_until}"' if valid_until else ""
    return (
        f'<md:EntityDescriptor xmlns:md="{NAMES["md"]}" xmlns:ds="{NAMES["ds"]}" entityID="{entity}"{until}>'
        f'<md:SPSSODescriptor AuthnRequestsSigned="true" protocolSupportEnumeration="{NAMES["samlp"]}">'
        + "".join(key_descriptor(body, "signing") for body in keys)
        + f'<md:SingleLogoutService Binding="{BINDING}SOAP" Location="https://wiki.example/soap"/>'
        f'<md:SingleLogoutService Binding="{BINDING}HTTP-Redirect" Location="https://wiki.example/slo"'
        ' ResponseLocation="https://wiki.example/slo/done"/>'
        "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>"
        f'<md:AssertionConsumerService Binding="{BINDING}HTTP-Artifact" Location="https://wiki.example/artifact" index="0"/>'
        f'<md:AssertionConsumerService Binding="{BINDING}HTTP-POST" Location="https://wiki.example/old" index="1"/>'
        f'<md:AssertionConsumerService Binding="{BINDING}HTTP-POST" Location="https://wiki.example/acs" index="2" isDefault="true"/>'
        f"{more}</md:SPSSODescriptor></md:EntityDescriptor>"
    ).encode()


def test_metadata_say_it_all_and_leave_what_was_chosen():
    row, _ = said_of({**GOOD, "mappings": {"email": "mail"}})
    importing.apply(row, importing.read(document()), timezone.now(), url="https://wiki.example/metadata")
    row.save()
    assert list(rules.problems(row)) == []
    settings = row.usable.saml
    assert row.callbacks == ["https://wiki.example/acs", "https://wiki.example/old"]
    assert settings.acs_indexes == {"1": "https://wiki.example/old", "2": "https://wiki.example/acs"}
    assert (settings.logout_url, settings.logout_reply_url) == (
        "https://wiki.example/slo",
        "https://wiki.example/slo/done",
    )
    assert settings.soap_logout_url == "https://wiki.example/soap"
    assert settings.wants_signed_requests
    assert settings.mappings == {"email": "mail"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b" " * (sp_metadata.LONGEST + 1), "longer than"),
        (b"<!DOCTYPE a [<!ENTITY x 'y'>]>" + document(), "document type"),
        (document(keys=["AAAA"]), "X.509"),
        (b"<html/>", "0 entities"),
        (document(valid_until="2020-01-01T00:00:00Z"), "valid until"),
        (document(entity="https://other.example/saml"), "are of https://other.example/saml"),
    ],
    ids=["50 MB", "entities", "no certificate", "a page", "over", "another entity"],
)
def test_metadata_that_cannot_be_used_change_nothing(data, reason):
    row, _ = said_of(GOOD)
    with pytest.raises(NotImported, match=reason):
        importing.apply(row, importing.read(data), timezone.now())


def test_a_new_certificate_is_known_a_day_later(monkeypatch):
    row, _ = said_of({**GOOD, "metadataUrl": "https://wiki.example/metadata"})
    row.save()
    published = [document()]
    monkeypatch.setattr(importing, "fetch", lambda _: importing.read(published[0]))
    assert refreshing.refresh(timezone.now()) == 1
    assert refreshing.refresh(timezone.now()) == 0
    published[0] = document(keys=[KEY.body, the_key("next.example").body])
    assert refreshing.refresh(timezone.now()) == 1
    row.refresh_from_db()
    assert len(row.usable.saml.certificates) == 2
    published[0] = document(entity="https://evil.example/saml")
    assert refreshing.refresh(timezone.now()) == 0


def test_metadata_loosen_nothing_that_was_chosen():
    row, _ = said_of({**GOOD, "signingCert": KEY.certificate, "logout": {"slo_enabled": False}})
    unsigned = document().replace(b'AuthnRequestsSigned="true"', b"")
    importing.apply(row, importing.read(unsigned), timezone.now())
    assert row.saml["wantsSignedRequests"] is True
    assert row.usable.saml.logout_url == ""
    importing.apply(row, importing.read(document(keys=[])), timezone.now())
    assert [str(problem) for problem in rules.problems(row)], (
        "without a certificate nothing that is signed can be checked"
    )


@pytest.mark.parametrize("meanwhile", ["deleted", "another address"])
def test_an_application_that_was_changed_while_its_metadata_were_fetched_is_left_alone(monkeypatch, meanwhile):
    row, _ = said_of({**GOOD, "metadataUrl": "https://wiki.example/metadata"})
    row.save()

    def fetch(url):
        if meanwhile == "deleted":
            Application.objects.filter(pk=row.pk).delete()
        else:
            Application.objects.filter(pk=row.pk).update(saml=row.saml | {"metadataUrl": "https://wiki.example/new"})
        return importing.read(document())

    monkeypatch.setattr(importing, "fetch", fetch)
    assert refreshing.refresh(timezone.now()) == 0
    assert not Application.objects.filter(saml__metadataUrl="https://wiki.example/metadata").exists()


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_service_is_known_to_need_is_allowed(name):
    row, _ = said_of(GOOD)
    form = ImportForm(row, {"preset": name, "host": "acme.example.com"})
    assert form.is_valid(), form.errors
    form.applied.save()
    assert form.applied.usable.saml
    assert "{host}" not in str(form.applied.saml) + form.applied.redirect_uris


def test_the_form_asks_for_one_of_its_sources():
    row, _ = said_of(GOOD)
    assert not ImportForm(row, {}).is_valid()
    assert not ImportForm(row, {"preset": "zendesk"}).is_valid()
    assert ImportForm(row, {"document": document().decode()}).is_valid()
    assert Application.objects.get(pk=row.pk).saml == GOOD


def test_metadata_are_uploaded_as_a_file_and_50_megabytes_are_refused_before_anybody_reads_them(monkeypatch):
    row, _ = said_of(GOOD)
    row.save()
    console = browser(make_session(make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)))
    page = reverse("admin:idp_application_act", args=[row.pk, "import-metadata"])
    assert 'enctype="multipart/form-data"' in console.get(page).content.decode()
    both = {"file": SimpleUploadedFile("sp.xml", document()), "document": document().decode()}
    assert "not both" in console.post(page, both).content.decode()
    assert console.post(page, {"file": SimpleUploadedFile("sp.xml", document())}).status_code == 302
    row.refresh_from_db()
    assert row.usable.saml.soap_logout_url == "https://wiki.example/soap"
    monkeypatch.setattr(importing, "read", lambda _: pytest.fail("it was read"))
    refused = console.post(page, {"file": SimpleUploadedFile("sp.xml", b" " * 50_000_000)})
    assert "It has more than 900 kB" in refused.content.decode()
    # The web server hands on nothing of a request that is longer than any may be.
    unread = environ.with_too_large_a_body({"CONTENT_TYPE": "multipart/form-data; boundary=x"})
    answer = console.generic("POST", page, **unread)
    assert (answer.status_code, "too large" in answer.content.decode()) == (413, True)


def test_a_certificate_that_ends_is_said_before():
    now = timezone.now()
    soon = make_key("soon.example", not_after=now + timedelta(days=10))
    row, problems = said_of({**GOOD, "signingCert": [soon.certificate, KEY.certificate]})
    assert problems == []
    (warning,) = warnings(row, now)
    assert "CN=soon.example expires on" in warning


def test_a_sample_assertion_says_what_a_real_one_would_and_signs_nobody_in():
    boss = make_user("boss@fabrikamcorp.com", is_staff=True, is_superuser=True)
    row, _ = said_of({**GOOD, "signingCert": KEY.certificate, "encryptionCert": KEY.certificate})
    address = f"/admin/idp/application/{row.pk}/act/sample-assertion/"
    page = browser(make_session(boss)).post(address, {"person": "boss@fabrikamcorp.com"})
    body = page.context["documents"]["Response"]
    assert "boss@fabrikamcorp.com" in body
    assert "https://wiki.example/saml" in body
    assert "Signature" not in body
