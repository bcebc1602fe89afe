"""Hashes that people bring along: vectors of those who specified them, each in Auth0's form."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password

from idp.people import brought_along
from idp.people.brought_along import HashRefused
from idp.people.imported_hashes import QUICK

ARGON2ID = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"  # phc-winner-argon2, test.c
ARGON2I = "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA"
BCRYPT = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"  # crypt_blowfish, wrapper.c
SCRYPT = (  # RFC 7914 section 12
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
)
PBKDF2_SHA256 = (  # RFC 7914 section 11
    "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
    "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
)
PBKDF2_SHA1 = "4b007901b765489abead49d926f721d065a429c1"  # RFC 6070
HMAC = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"  # RFC 4231 section 4.3
SHA256 = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"


def phc(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode().rstrip("=")


def custom(algorithm: str, value: str, encoding: str = "hex", **more: Any) -> dict[str, Any]:
    return {"algorithm": algorithm, "hash": {"value": value, "encoding": encoding}, **more}


SALTED = {"salt": {"value": "SodiumChloride", "encoding": "utf8"}}
COSTS = {"cost": 16384, "blockSize": 8, "parallelization": 1}
PEPPER = b"\x00pepper"
SUFFIX = {"salt": {"value": PEPPER.hex(), "encoding": "hex", "position": "suffix"}}
SSHA = base64.b64encode(hashlib.sha1(b"password" + PEPPER).digest() + PEPPER).decode()

VECTORS = {
    "argon2id": ("password", custom("argon2", ARGON2ID, "utf8")),
    "argon2i": ("password", custom("argon2", ARGON2I, "utf8")),
    "bcrypt": ("U*U", custom("bcrypt", BCRYPT, "utf8")),
    "scrypt": ("pleaseletmein", custom("scrypt", SCRYPT, **SALTED, **COSTS, keylen=64)),
    "scrypt phc": (
        "pleaseletmein",
        custom("scrypt", f"$scrypt$ln=14,r=8,p=1${phc(b'SodiumChloride'.hex())}${phc(SCRYPT)}", "utf8"),
    ),
    "pbkdf2 sha256": ("passwd", custom("pbkdf2", f"$pbkdf2-sha256$i=1,l=64${phc(b'salt'.hex())}${phc(PBKDF2_SHA256)}")),
    "pbkdf2 sha1": ("password", custom("pbkdf2", f"$pbkdf2-sha1$i=4096,l=20${phc(b'salt'.hex())}${phc(PBKDF2_SHA1)}")),
    "md5": ("password", custom("md5", "5f4dcc3b5aa765d61d8327deb882cf99")),
    "sha1": ("password", custom("sha1", "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8")),
    "sha256": ("password", custom("sha256", SHA256)),
    "sha256 base64": ("password", custom("sha256", base64.b64encode(bytes.fromhex(SHA256)).decode(), "base64")),
    "sha512 suffix": ("password", custom("sha512", hashlib.sha512(b"password" + PEPPER).hexdigest(), **SUFFIX)),
    "md5 prefix": (
        "password",
        custom("md5", hashlib.md5(b"NaClpassword").hexdigest(), salt={"value": "NaCl", "position": "prefix"}),
    ),
    "sha256 utf16": (
        "pässwörd",
        custom("sha256", hashlib.sha256("pässwörd".encode("utf-16-le")).hexdigest(), password={"encoding": "utf16le"}),
    ),
    "hmac": (
        "what do ya want for nothing?",
        {"algorithm": "hmac", "hash": {"value": HMAC, "encoding": "hex", "digest": "sha256", "key": {"value": "Jefe"}}},
    ),
    "ldap": ("password", custom("ldap", "{SSHA}" + SSHA, "utf8")),
}


@pytest.mark.parametrize("name", VECTORS)
def test_the_password_matches_and_another_does_not_and_it_is_renewed(name: str) -> None:
    password, found = VECTORS[name]
    stored = brought_along.custom(found)
    renewed: list[str] = []
    assert check_password(password, stored, renewed.append)
    assert renewed == [password]
    assert not check_password(password + "x", stored)
    assert len(stored) <= 1000
    if found["algorithm"] in QUICK:
        assert found["hash"]["value"] not in stored
        assert "{" not in stored, "it is sealed"


@pytest.mark.parametrize("name", VECTORS)
def test_it_can_be_brought_elsewhere(name: str) -> None:
    password, found = VECTORS[name]
    again = brought_along.as_custom(brought_along.custom(found))
    assert again is not None
    assert check_password(password, brought_along.custom(again))


def test_a_long_password_is_what_bcrypt_makes_of_it() -> None:
    import bcrypt

    hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    stored = brought_along.bcrypt_hash(hashed.replace("$2b$", "$2y$"))
    assert check_password("x" * 100, stored)
    assert not check_password("x\0", stored)


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (custom("md4", "0" * 32), "algorithm"),
        ({"algorithm": "md5"}, "hash"),
        (custom("md5", "zz"), "hash.value"),
        (custom("md5", "00"), "hash.value"),
        (custom("md5", "5f4dcc3b5aa765d61d8327deb882cf99", "rot13"), "hash.encoding"),
        (custom("bcrypt", "$2b$31$" + "C" * 53), "hash.value"),
        (custom("bcrypt", "$1$md5crypt"), "hash.value"),
        (custom("argon2", ARGON2ID.replace("m=65536", "m=9999999")), "hash.value"),
        (custom("argon2", ARGON2ID.replace("v=19", "v=16")), "hash.value"),
        (custom("pbkdf2", f"$pbkdf2-sha256$i=99999999,l=4${phc('00')}${phc('00')}"), "hash.value"),
        (custom("scrypt", SCRYPT, **SALTED, cost=16383, blockSize=8, parallelization=1), "cost"),
        (custom("scrypt", SCRYPT, **SALTED, cost=1 << 22, blockSize=8, parallelization=1), "cost"),
        (custom("scrypt", SCRYPT, **COSTS), "salt"),
        (custom("sha256", SHA256, salt={"value": "x", "position": "middle"}), "salt.position"),
        (custom("sha256", SHA256, password={"encoding": "ebcdic"}), "password.encoding"),
        (custom("ldap", "{CRYPT}xx", "utf8"), "hash.value"),
        (custom("ldap", "{SSHA}AAAA", "utf8"), "hash.value"),
    ],
)
def test_what_cannot_be_verified_or_costs_too_much_is_refused_with_its_place(found: dict[str, Any], path: str) -> None:
    with pytest.raises(HashRefused) as refused:
        brought_along.custom(found)
    assert refused.value.path == path


ARGON2_HASH = ARGON2ID.rpartition("$")[2]


@pytest.mark.parametrize(
    "found",
    [
        custom("argon2", "$argon2id$v=19$m=65536,t=3,p=4$A$A"),  # no Base64: whoever signed in would see our fault
        custom("argon2", f"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQxA${ARGON2_HASH}"),
        custom("argon2", f"$argon2id$v=19$m=65536,t=2,p=1$c29t${ARGON2_HASH}"),
        custom("pbkdf2", f"$pbkdf2-sha1$i=10000000,l=700$c2FsdA${'A' * 900}"),  # minutes for each attempt
    ],
)
def test_what_nobody_could_sign_in_with_is_refused_before_it_is_kept(found: dict[str, Any]) -> None:
    with pytest.raises(HashRefused) as refused:
        brought_along.custom(found)
    assert refused.value.path == "hash.value"
