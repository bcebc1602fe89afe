"""Responses that nobody may be signed in by. Each test begins with what an honest identity provider signed."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
import xmlsec
from lxml import etree

from idp.connections.contract import UpstreamFault
from idp.saml.own_key import own_key
from tests.protocol.connections_saml.conftest import Way
from tests.support.upstreams.scripted_saml import NAMES, Answer, ScriptedIdp, decode, encode, encrypt, sign, the_key

Alteration = Callable[[Any], Any]


def _q(name: str) -> str:
    prefix, local = name.split(":")
    return f"{{{NAMES[prefix]}}}{local}"


def _forged(assertion: Any, *, keep_id: bool = False) -> Any:
    """A copy without signature that says it is about the administrator."""
    copy = deepcopy(assertion)
    for signature in copy.findall("ds:Signature", NAMES):
        copy.remove(signature)
    copy.find(".//saml:NameID", NAMES).text = "administrator"
    if not keep_id:
        copy.set("ID", "_forged")
    return copy


def _wrap_1(root: Any) -> Any:
    """The signed response inside of the forged one's signature."""
    forged = deepcopy(root)
    forged.set("ID", "_forged_response")
    forged.find(".//saml:NameID", NAMES).text = "administrator"
    signature = forged.find("ds:Signature", NAMES)
    etree.SubElement(signature, _q("ds:Object")).append(root)
    return forged


def _wrap_2(root: Any) -> Any:
    """The signed response detached behind the forged one, with its signature beside it."""
    forged = deepcopy(root)
    forged.set("ID", "_forged_response")
    forged.find(".//saml:NameID", NAMES).text = "administrator"
    forged.find("saml:Issuer", NAMES).addnext(root)
    return forged


def _wrap_3(root: Any) -> Any:
    original = root.find("saml:Assertion", NAMES)
    original.addprevious(_forged(original))
    return root


def _wrap_4(root: Any) -> Any:
    """The signed assertion as a child of the forged one."""
    original = root.find("saml:Assertion", NAMES)
    forged = _forged(original)
    root.replace(original, forged)
    forged.append(original)
    return root


def _wrap_5(root: Any) -> Any:
    """The signature in the forged assertion, what it signs behind it."""
    original = root.find("saml:Assertion", NAMES)
    forged = _forged(original)
    forged.find("saml:Issuer", NAMES).addnext(deepcopy(original.find("ds:Signature", NAMES)))
    original.addprevious(forged)
    original.remove(original.find("ds:Signature", NAMES))
    return root


def _wrap_6(root: Any) -> Any:
    original = root.find("saml:Assertion", NAMES)
    signature = original.find("ds:Signature", NAMES)
    forged = _forged(original)
    root.replace(original, forged)
    copied = deepcopy(signature)
    forged.find("saml:Issuer", NAMES).addnext(copied)
    original.remove(signature)
    copied.append(original)
    return root


def _wrap_7(root: Any) -> Any:
    """The forged assertion in Extensions, which may hold anything."""
    extensions = etree.Element(_q("samlp:Extensions"))
    original = root.find("saml:Assertion", NAMES)
    extensions.append(_forged(original, keep_id=True))
    root.find("saml:Issuer", NAMES).addnext(extensions)
    return root


def _wrap_8(root: Any) -> Any:
    original = root.find("saml:Assertion", NAMES)
    signature = original.find("ds:Signature", NAMES)
    forged = _forged(original)
    root.replace(original, forged)
    copied = deepcopy(signature)
    forged.find("saml:Issuer", NAMES).addnext(copied)
    original.remove(signature)
    etree.SubElement(copied, _q("ds:Object")).append(original)
    return root


MODES = ("response", "assertion", "either", "both")
RESPONSE_ONLY, ASSERTION_ONLY = {"sign_assertion": False}, {"sign_response": False}
BOTH: dict[str, bool] = {}
OF_A_RESPONSE = (_wrap_1, _wrap_2)
OF_AN_ASSERTION = (_wrap_3, _wrap_4, _wrap_5, _wrap_6, _wrap_7, _wrap_8)
WRAPPED = [
    *((wrap, BOTH) for wrap in (*OF_A_RESPONSE, *OF_AN_ASSERTION)),
    *((wrap, RESPONSE_ONLY) for wrap in (*OF_A_RESPONSE, _wrap_3, _wrap_4, _wrap_7)),
    *((wrap, ASSERTION_ONLY) for wrap in (_wrap_2, *OF_AN_ASSERTION)),
]


@pytest.mark.parametrize(("wrap", "signed"), WRAPPED)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.spec("SAML 2.0", "core 5.4", "SP1 What is read is exactly what the signature is over")
def test_a_wrapped_signature_proves_nothing(way: Way, wrap: Alteration, signed: dict[str, bool], mode: str) -> None:
    """Signature wrapping, whatever must be signed and whatever is: the identity is read from the element that the signature is over."""
    way.configure(wants_signed=mode)
    way.refused(encode(wrap(decode(way.idp.answer(way.says(), **signed)))))


@pytest.mark.parametrize("wrap", OF_AN_ASSERTION)
@pytest.mark.parametrize("mode", MODES)
def test_a_wrapped_signature_proves_nothing_in_a_signed_response(way: Way, wrap: Alteration, mode: str) -> None:
    """As above, where the signature of the response alone would not help."""
    way.configure(wants_signed=mode)
    root = decode(way.idp.answer(way.says(), sign_response=False))
    wrapped = wrap(root)
    sign(wrapped, way.idp.key)
    way.refused(encode(wrapped))


def _in_advice(root: Any) -> Any:
    """The signed assertion as Advice of the forged one, which is a place for assertions."""
    original = root.find("saml:Assertion", NAMES)
    forged = _forged(original)
    root.replace(original, forged)
    advice = etree.Element(_q("saml:Advice"))
    advice.append(original)
    forged.find("saml:Conditions", NAMES).addnext(advice)
    return root


def _whole_document(root: Any) -> Any:
    """A reference to nothing in particular ("") is one to the whole document, whichever that is."""
    for reference in root.findall(".//ds:Reference", NAMES):
        reference.set("URI", "")
    return root


def _moved_to_the_response(root: Any) -> Any:
    """The assertion's signature where the response's would be."""
    signature = root.find("saml:Assertion/ds:Signature", NAMES)
    root.find("saml:Issuer", NAMES).addnext(signature)
    return root


def _another_name(root: Any) -> Any:
    root.find(".//saml:NameID", NAMES).text = "administrator"
    return root


def _stripped_and_renamed(root: Any) -> Any:
    """Without the assertion's signature, so that only that of the response could tell."""
    for signature in root.findall("saml:Assertion/ds:Signature", NAMES):
        signature.getparent().remove(signature)
    return _another_name(root)


@pytest.mark.parametrize("signed", [BOTH, RESPONSE_ONLY, ASSERTION_ONLY], ids=["both", "response", "assertion"])
@pytest.mark.parametrize("alter", [_in_advice, _whole_document, _another_name, _stripped_and_renamed])
@pytest.mark.parametrize("mode", MODES)
def test_what_was_changed_after_signing_proves_nothing(
    way: Way, alter: Alteration, signed: dict[str, bool], mode: str
) -> None:
    way.configure(wants_signed=mode)
    way.refused(encode(alter(decode(way.idp.answer(way.says(), **signed)))))


@pytest.mark.parametrize("mode", MODES)
def test_a_signature_signs_only_what_it_is_in(way: Way, mode: str) -> None:
    way.configure(wants_signed=mode)
    answer = way.idp.answer(way.says(), sign_response=False)
    assert "something else" in way.refused(encode(_moved_to_the_response(decode(answer))))


@pytest.mark.parametrize("mode", ["assertion", "either"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Destination", "https://other.example/acs"),
        ("Destination", ""),
        ("InResponseTo", "_another"),
        ("InResponseTo", None),
        ("Version", "1.1"),
    ],
)
def test_a_response_that_nobody_signed_must_say_what_its_assertion_says(
    way: Way, mode: str, name: str, value: str | None
) -> None:
    way.configure(wants_signed=mode)
    root = decode(way.idp.answer(way.says(), sign_response=False))
    root.attrib.pop(name)
    if value is not None:
        root.set(name, value)
    way.refused(encode(root))


@pytest.mark.parametrize("mode", ["assertion", "either"])
def test_an_unsigned_response_cannot_lend_its_assertion_what_that_does_not_say(way: Way, mode: str) -> None:
    """An assertion for another request, in a response that somebody wrote around it for this one; and of another issuer."""
    way.configure(wants_signed=mode)
    stolen = decode(way.idp.answer(way.says(in_response_to="_of another browser"), sign_response=False))
    stolen.set("InResponseTo", way.says().in_response_to or "")
    way.refused(encode(stolen))
    foreign = decode(way.idp.answer(way.says(issuer="https://other.example/"), sign_response=False))
    foreign.find("saml:Issuer", NAMES).text = way.says().issuer
    assert "issuer" in way.refused(encode(foreign))


def test_two_assertions_are_refused(way: Way) -> None:
    """One of them signed, and both."""

    def add(root: Any) -> None:
        root.append(etree.fromstring(Answer(**{**vars(way.says()), "name_id": "administrator"}).assertion()))

    assert "exactly one assertion" in way.refused(way.idp.answer(way.says(), alter=add))


def test_an_id_that_comes_twice_is_refused(way: Way) -> None:
    same = way.says(response_id="_same", assertion_id="_same")
    assert "same id twice" in way.refused(way.idp.answer(same))


@pytest.mark.parametrize(
    "path",
    [
        "ds:SignedInfo",
        "ds:SignedInfo/ds:Reference",
        "ds:SignedInfo/ds:SignatureMethod",
        "ds:SignedInfo/ds:Reference/ds:DigestValue",
        "ds:SignatureValue",
        ".",
    ],
)
def test_parts_of_a_signature_come_once(way: Way, path: str) -> None:
    """A second SignedInfo, a second Reference, a second signature."""
    root = decode(way.idp.answer(way.says()))
    part = root.find("saml:Assertion/ds:Signature", NAMES).find(path, NAMES)
    part.addnext(deepcopy(part))
    way.refused(encode(root))


@pytest.mark.parametrize(
    "old_and_new",
    [
        (b">mary<", b">mary<!-- -->.evil<"),
        (b">mary<", b"><!-- -->mary<"),
        (b"<ds:DigestValue>", b"<ds:DigestValue><!-- other -->"),
        (b">mary<", b"><![CDATA[mary]]><"),
        (b">mary<", b">mary<?x y?>.evil<"),
        (b"<saml:Subject>", b"<!-- --><saml:Subject>"),
    ],
)
def test_comments_sections_and_instructions_are_refused(way: Way, old_and_new: tuple[bytes, bytes]) -> None:
    """Exclusive canonicalisation drops comments, so that they do not even break the signature."""
    data = base64.b64decode(way.idp.answer(way.says()))
    altered = data.replace(*old_and_new, 1)
    assert altered != data
    reason = way.refused(encode(altered))
    assert "comment" in reason or "processing instruction" in reason


def test_an_element_inside_of_the_name_id_is_refused(way: Way) -> None:
    """Whoever reads only the text before it reads somebody else's name."""

    def divide(root: Any) -> None:
        element = root.find(".//saml:NameID", NAMES)
        etree.SubElement(element, "x").tail = ".evil"

    way.refused(way.idp.answer(way.says(), alter=divide))


NOTHING = {"sign_assertion": False, "sign_response": False}
ENOUGH: list[tuple[str, dict[str, bool], str]] = [
    ("response", BOTH, ""),
    ("response", RESPONSE_ONLY, ""),
    ("response", ASSERTION_ONLY, "the assertion only"),
    ("response", NOTHING, "signed is nothing"),
    ("assertion", BOTH, ""),
    ("assertion", RESPONSE_ONLY, "the response only"),
    ("assertion", ASSERTION_ONLY, ""),
    ("assertion", NOTHING, "signed is nothing"),
    ("either", BOTH, ""),
    ("either", RESPONSE_ONLY, ""),
    ("either", ASSERTION_ONLY, ""),
    ("either", NOTHING, "signed is nothing"),
    ("both", BOTH, ""),
    ("both", RESPONSE_ONLY, "the response only"),
    ("both", ASSERTION_ONLY, "the assertion only"),
    ("both", NOTHING, "signed is nothing"),
]


@pytest.mark.parametrize(("mode", "signed", "reason"), ENOUGH)
@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
@pytest.mark.spec("SAML 2.0", "profiles 4.1.4.5", "SP2 Response or assertion is signed, as the connection wants it")
def test_what_must_be_signed_is_the_connections_choice(
    way: Way, mode: str, signed: dict[str, bool], reason: str, encrypted: bool
) -> None:
    """Also of an assertion that is encrypted: the response's signature is over it as it came, its own is inside."""
    way.configure(wants_signed=mode)
    certificate = own_key(way.at).certificate_pem
    said = way.says()
    answer = way.idp.encrypted(said, certificate, **signed) if encrypted else way.idp.answer(said, **signed)
    if reason:
        assert "is not signed as wants_signed" in (refused := way.refused(answer))
        assert encrypted or reason in refused
    else:
        assert way.arrive(answer).sub == "mary"


@pytest.mark.parametrize("signed", [BOTH, RESPONSE_ONLY, ASSERTION_ONLY], ids=["both", "response", "assertion"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
def test_a_foreign_signature_counts_in_no_mode(way: Way, mode: str, signed: dict[str, bool], encrypted: bool) -> None:
    way.configure(wants_signed=mode)
    attacker, certificate = ScriptedIdp(the_key("attacker.example")), own_key(way.at).certificate_pem
    said = way.says()
    way.refused(attacker.encrypted(said, certificate, **signed) if encrypted else attacker.answer(said, **signed))


@pytest.mark.parametrize("mode", MODES)
def test_a_foreign_signature_beside_a_good_one_is_refused(way: Way, mode: str) -> None:
    """Whatever is signed must be signed by the identity provider, also what would not have to be."""
    way.configure(wants_signed=mode)
    root = decode(way.idp.answer(way.says(), sign_response=False))
    sign(root, the_key("attacker.example"))
    assert "none of the identity provider's certificates" in way.refused(encode(root))


def test_a_signature_that_was_taken_out_is_missed(way: Way) -> None:
    """Stripped from the assertion, the response signed anew by nobody."""
    root = decode(way.idp.answer(way.says()))
    for signature in root.findall(".//ds:Signature", NAMES):
        signature.getparent().remove(signature)
    assert "signed is nothing" in way.refused(encode(root))


def test_a_certificate_in_the_message_is_no_certificate_of_ours(way: Way) -> None:
    """The attacker's signature is perfect, and its certificate is in KeyInfo."""
    attacker = ScriptedIdp(the_key("attacker.example"))
    assert "none of the identity provider's certificates" in way.refused(attacker.answer(way.says()))


def test_an_attackers_assertion_in_an_honest_response_is_refused(way: Way) -> None:
    """Each of the two signatures counts for itself."""

    def replace_signature(root: Any) -> None:
        sign(root.find("saml:Assertion", NAMES), the_key("attacker.example"))

    answer = way.idp.answer(way.says(), sign_assertion=False, alter=replace_signature)
    assert "has an assertion that is signed with a key that belongs to none" in way.refused(answer)


@pytest.mark.parametrize(
    "algorithms",
    [
        {"algorithm": xmlsec.Transform.HMAC_SHA256},
        {"algorithm": xmlsec.Transform.RSA_SHA1},
        {"digest": xmlsec.Transform.SHA1},
    ],
    ids=["hmac", "rsa-sha1", "sha1"],
)
def test_only_strong_asymmetric_algorithms_count(way: Way, algorithms: dict[str, Any]) -> None:
    """An HMAC with the public certificate as its key is anybody's."""
    assert "not allowed" in way.refused(way.idp.answer(way.says(), **algorithms))


MINUTE = timedelta(minutes=1)
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"audience": "https://other.example/metadata"}, "audience"),
    ({"audience": ""}, "audience"),
    ({"recipient": "https://other.example/acs"}, "SubjectConfirmation"),
    ({"recipient": "http://localhost:8000/login/callback/AcmeToo"}, "recipient"),
    ({"recipient": ""}, ""),
    ({"destination": "https://other.example/acs"}, "received at"),
    ({"destination": "http://localhost:8000/login/callback/AcmeToo"}, "destination"),
    ({"destination": ""}, "Destination"),
    ({"issuer": "https://other.example/metadata"}, "issuer"),
    ({"conditions": False}, "Conditions"),
    ({"in_response_to": "_another"}, "InResponseTo"),
    ({"in_response_to": None}, "does not answer this browser's request"),
    ({"confirmed_in_response_to": "_another"}, ""),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG, ids=[f"{next(iter(w))}-{i}" for i, (w, _) in enumerate(WRONG)])
def test_a_response_for_somebody_else_is_refused(way: Way, changes: dict[str, Any], reason: str) -> None:
    assert reason in way.refused(way.idp.answer(way.says(**changes)))


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("not_on_or_after", -2),
        ("confirmed_until", -2),
        ("not_before", 10),
        ("not_before", 2),
        ("issued_at", 2),
        ("issued_at", -70),
        ("auth_instant", 2),
        ("session_until", -1),
    ],
)
def test_a_response_of_another_time_is_refused(way: Way, name: str, minutes: int) -> None:
    way.refused(way.idp.answer(way.says(**{name: way.at + minutes * MINUTE})))


def test_an_answer_counts_once(way: Way) -> None:
    """The mark is in the database, so that no other process takes it either."""
    answer = way.idp.answer(way.says())
    way.arrive(answer)
    assert "used before" in way.refused(answer)


def test_nobody_comes_unasked_unless_that_is_switched_on(way: Way) -> None:
    """And a response to somebody's request does not count as unasked."""
    unasked = way.says(in_response_to=None)
    assert "nobody asked for" in way.refused(way.idp.answer(unasked), asked=False)
    way.configure(idpinitiated={"enabled": True, "client_id": "jwt-debugger"})
    assert way.arrive(way.idp.answer(unasked), asked=False).sub == "mary"
    assert "request that is not ours" in way.refused(way.idp.answer(way.says()), asked=False)
    assert "does not answer" in way.refused(way.idp.answer(way.says(in_response_to=None)))


XML_ATTACKS = {
    "file entity": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>{}',
    "parameter entity": '<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:{port}/x.dtd"> %x;]>{}',
    "external subset": '<!DOCTYPE r SYSTEM "http://127.0.0.1:{port}/x.dtd">{}',
    "expansion": '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    + "]>{}",
}


@pytest.mark.parametrize("attack", XML_ATTACKS)
def test_a_document_type_is_refused_before_it_is_read(way: Way, attack: str) -> None:
    """At once, and nobody is asked for anything."""
    document = base64.b64decode(way.idp.answer(way.says())).decode().replace(">mary<", ">&x;<")
    with socket.create_server(("127.0.0.1", 0)) as canary:
        head = XML_ATTACKS[attack].replace("{port}", str(canary.getsockname()[1])).replace("{}", "")
        began = time.perf_counter()
        assert "document type" in way.refused(encode((head + document).encode()))
        assert time.perf_counter() - began < 0.1
        canary.setblocking(False)
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_an_inclusion_is_refused(way: Way) -> None:
    """XInclude."""

    def include(root: Any) -> None:
        element = etree.Element("{http://www.w3.org/2001/XInclude}include", href="file:///etc/passwd", parse="text")
        extensions = etree.Element(_q("samlp:Extensions"))
        extensions.append(element)
        root.find("saml:Issuer", NAMES).addnext(extensions)

    assert "inclusion" in way.refused(way.idp.answer(way.says(), alter=include))


@pytest.mark.parametrize(
    "algorithm",
    [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        "http://www.w3.org/2000/09/xmldsig#base64",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    ],
)
def test_transforms_that_could_hide_something_are_refused(way: Way, algorithm: str) -> None:
    root = decode(way.idp.answer(way.says()))
    for transforms in root.findall(".//ds:Transforms", NAMES):
        transforms[1].set("Algorithm", algorithm)
    assert "odd transforms" in way.refused(encode(root))


@pytest.mark.parametrize("path", ["ds:SignedInfo/ds:Reference", "."])
def test_thousands_of_references_cost_nothing(way: Way, path: str) -> None:
    root = decode(way.idp.answer(way.says()))
    part = root.find("saml:Assertion/ds:Signature", NAMES).find(path, NAMES)
    for element in part.findall(".//ds:X509Certificate", NAMES):
        element.text = ""
    for _ in range(400):
        part.addnext(deepcopy(part))
    began = time.perf_counter()
    way.refused(encode(root))
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "data",
    [
        "<a/>".encode("utf-16"),
        "<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16"),
        b"<?xml version='1.0' encoding='utf-7'?><a/>",
        b"<?xml version='1.0' encoding='iso-8859-1'?><a/>",
        b"+ADw-a/+AD4-",
        b"\xff\xfe<a/>",
        b"<a>\0</a>",
        b"<a>",
        b"",
        b"<a/>" * 200_000,
        b"<a>" * 2000 + b"</a>" * 2000,
        b"<a/>",
    ],
    ids=range(12),
)
def test_what_is_not_a_message_is_refused(way: Way, data: bytes) -> None:
    """Other encodings, too much, too deep, nothing."""
    way.refused(encode(data))


@pytest.mark.parametrize("encoded", ["", "%%%", "ü", "PGEvPg"])
def test_what_is_not_base64_is_refused(way: Way, encoded: str) -> None:
    way.refused(encoded)


@pytest.mark.parametrize("mode", MODES)
def test_an_encrypted_assertion_that_nobody_signed_is_refused(way: Way, mode: str) -> None:
    """Anybody can encrypt for us; CVE-2026-2092. The signature of a response around it is over what is in it."""
    way.configure(wants_signed=mode)
    certificate = own_key(way.at).certificate_pem
    assert way.arrive(way.idp.encrypted(way.says(), certificate)).sub == "mary"
    assert "is not signed as wants_signed" in way.refused(way.idp.encrypted(way.says(), certificate, **NOTHING))
    root = decode(way.idp.encrypted(way.says(), certificate, sign_assertion=False))
    other = decode(way.idp.encrypted(way.says(name_id="administrator"), certificate, **NOTHING))
    root.replace(
        root.find("saml:EncryptedAssertion", NAMES), other.find("saml:EncryptedAssertion", NAMES)
    )  # another ciphertext under the same signature
    way.refused(encode(root))


def _flipped(root: Any) -> None:
    """One character of the ciphertext, as somebody who tries what we make of it."""
    value = root.findall(".//xenc:EncryptedData/xenc:CipherData/xenc:CipherValue", NAMES)[-1]
    text = "".join(value.text.split())
    value.text = ("A" if text[0] != "A" else "B") + text[1:]


def _without_subject(root: Any) -> None:
    assertion = root.find("saml:Assertion", NAMES)
    assertion.remove(assertion.find("saml:Subject", NAMES))


def test_who_tries_ciphertexts_learns_nothing_from_the_page(way: Way) -> None:
    """Of an encrypted assertion in a response that nobody signed, every refusal reads the same: it is no oracle."""
    certificate = own_key(way.at).certificate_pem
    flipped = decode(way.idp.encrypted(way.says(), certificate, sign_response=False))
    _flipped(flipped)
    tried = [
        encode(flipped),
        way.idp.encrypted(way.says(), certificate, **NOTHING),
        way.idp.encrypted(way.says(), certificate, **NOTHING, alter=_without_subject),
        ScriptedIdp(the_key("attacker.example")).encrypted(way.says(), certificate, sign_response=False),
    ]
    sentences = set()
    for answer in tried:
        with pytest.raises(UpstreamFault) as raised:
            way.arrive(answer)
        sentences.add(raised.value.sentence)
    assert len(sentences) == 1
    assert "not signed as it must be" in sentences.pop()


def test_an_encrypted_assertion_is_not_opened_before_the_response_is_verified(way: Way) -> None:
    """An attacker who may try ciphertexts must learn nothing from our decryption."""
    attacker = ScriptedIdp(the_key("attacker.example"))
    reason = way.refused(attacker.encrypted(way.says(), own_key(way.at).certificate_pem))
    assert "none of the identity provider's certificates" in reason


def test_an_encrypted_assertion_inside_of_another_is_refused(way: Way) -> None:
    certificate = own_key(way.at).certificate_pem

    def encrypt_once(root: Any) -> None:
        assertion = root.find("saml:Assertion", NAMES)
        sign(assertion, way.idp.key)
        encrypt(root, assertion, certificate)

    root = etree.fromstring(way.says().response())
    encrypt_once(root)
    encrypt(root, root.find("saml:EncryptedAssertion", NAMES), certificate)
    sign(root, way.idp.key)
    way.refused(encode(root))


def test_a_forged_assertion_beside_an_encrypted_one_is_refused(way: Way) -> None:
    """As CVE-2026-2092 did."""
    root = decode(way.idp.encrypted(way.says(), own_key(way.at).certificate_pem, sign_response=False))
    forged = etree.fromstring(way.says(name_id="administrator").assertion())
    root.append(forged)
    sign(root, way.idp.key)
    assert "exactly one assertion" in way.refused(encode(root))


def test_key_transport_that_leaks_is_refused(way: Way) -> None:
    certificate = own_key(way.at).certificate_pem
    answer = way.idp.encrypted(way.says(), certificate, transport=xmlsec.Transform.RSA_PKCS1)
    assert "not allowed" in way.refused(answer)


def test_ids_and_attributes_that_are_encrypted_are_refused(way: Way) -> None:
    def hide(root: Any) -> None:
        name_id = root.find(".//saml:NameID", NAMES)
        hidden = etree.Element(_q("saml:EncryptedID"))
        hidden.append(etree.Element(_q("xenc:EncryptedData")))
        name_id.getparent().replace(name_id, hidden)

    way.refused(way.idp.answer(way.says(), alter=hide))


def test_an_answer_of_another_kind_is_refused(way: Way) -> None:
    """A signed LogoutResponse or assertion is no response to a sign-in."""
    assertion = etree.fromstring(way.says().assertion())
    sign(assertion, way.idp.key)
    assert "not a Response" in way.refused(encode(assertion))


def test_two_connections_do_not_share_answers(way: Way) -> None:
    """Mixed connections: the same identity provider, another audience and another address of ours."""
    answer = way.idp.answer(way.says(audience="http://localhost:8000/samlp/Other/metadata"))
    assert "audience" in way.refused(answer)
