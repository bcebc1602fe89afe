"""Reading Auth0's `password_hash` and `custom_password_hash`: what may be verified here, and what of it would cost too much."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idp.people.imported_hashes import PASSWORD_ENCODINGS, SCRYPT_MEMORY, ImportedHasher, kept

_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)
_ARGON2 = re.compile(
    r"\$argon2(?:id|i|d)\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)", re.ASCII
)
_PBKDF2 = re.compile(
    r"\$pbkdf2-(sha1|sha256|sha512)\$i=(\d{1,8})(?:,l=(\d{1,3}))?\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)", re.ASCII
)
_SCRYPT = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)", re.ASCII)
_LDAP = re.compile(r"\{(S?)(MD5|SHA|SHA256|SHA512)\}([A-Za-z0-9+/=]+)", re.ASCII | re.IGNORECASE)
DIGESTS = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}  # bytes
ALGORITHMS = ("argon2", "bcrypt", "hmac", "ldap", "md5", "pbkdf2", "scrypt", *DIGESTS)
MOST_ROUNDS = 10_000_000  # of PBKDF2
MOST_BCRYPT = 15  # 1.6 seconds of a core
MOST_ARGON2 = (256 * 1024, 20, 16)  # KiB, passes, lanes
LEAST_SALT_OF_ARGON2, LEAST_OF_ARGON2 = 8, 4  # bytes (RFC 9106 section 3.1)


@dataclass(frozen=True, slots=True)
class HashRefused(Exception):
    """Of which key, why, and Auth0's code for it."""

    path: str
    reason: str
    code: str = "FORMAT"


def bcrypt_hash(value: str) -> str:
    """`password_hash`. Raises HashRefused."""
    found = _BCRYPT.fullmatch(value)
    if found is None:
        raise HashRefused("password_hash", "is no bcrypt hash like $2b$10$...")
    if not 4 <= int(found[1]) <= MOST_BCRYPT:
        raise HashRefused("password_hash", f"must have 2^4 to 2^{MOST_BCRYPT} rounds")
    return kept({"a": "bcrypt", "h": f"$2b{value[3:]}"})


def custom(found: Mapping[str, Any]) -> str:
    """`custom_password_hash`, as it is kept. Raises HashRefused."""
    algorithm = found.get("algorithm")
    if algorithm not in ALGORITHMS:
        reason = f"must be one of {', '.join(dict.fromkeys(ALGORITHMS))}, which can be verified here"
        raise HashRefused("algorithm", reason, "ENUM_MISMATCH")
    value = _text(found, "hash", "value")
    try:
        return _READERS.get(algorithm, _digest)(found, value)
    except HashRefused as refused:
        raise HashRefused(refused.path.replace("password_hash", "hash.value"), refused.reason, refused.code) from None


def as_custom(stored: str) -> dict[str, Any] | None:
    """A stored hash as `custom_password_hash`, to be brought elsewhere; None where there is no password."""
    if stored.startswith("argon2$"):
        return {"algorithm": "argon2", "hash": {"value": stored.removeprefix("argon2"), "encoding": "utf8"}}
    spec = ImportedHasher().spec(stored) if stored.startswith("imported$") else None
    if spec is None:
        return None
    encoding = {"password": {"encoding": spec["e"]}} if "e" in spec else {}
    if spec["a"] == "bcrypt":
        return {"algorithm": "bcrypt", "hash": {"value": spec["h"], "encoding": "utf8"}}
    if spec["a"] == "pbkdf2":
        salt, digested = (spec[key].rstrip("=") for key in ("s", "h"))
        length = len(base64.b64decode(spec["h"]))
        value = f"$pbkdf2-{spec['d']}$i={spec['i']},l={length}${salt}${digested}"
        return {"algorithm": "pbkdf2", "hash": {"value": value, "encoding": "utf8"}, **encoding}
    return {**_as_digest(spec), **encoding}


def _as_digest(spec: Mapping[str, Any]) -> dict[str, Any]:
    """LDAP's are digests with the salt behind the password."""
    made: dict[str, Any] = {"value": spec["h"], "encoding": "base64"}
    if spec["a"] == "hmac":
        made |= {"digest": spec["d"], "key": {"value": spec["k"], "encoding": "base64"}}
    found = {"algorithm": spec["d"] if spec["a"] == "ldap" else spec["a"], "hash": made}
    if spec.get("s"):
        position = "suffix" if spec.get("after") else "prefix"
        found["salt"] = {"value": spec["s"], "encoding": "base64", "position": position}
    if spec["a"] == "scrypt":
        length = len(base64.b64decode(spec["h"]))
        found |= {"cost": spec["n"], "blockSize": spec["r"], "parallelization": spec["p"], "keylen": length}
    return found


def _argon2(found: Mapping[str, Any], value: str) -> str:
    match = _ARGON2.fullmatch(value)
    if match is None:
        raise HashRefused("hash.value", "is no argon2 hash in the PHC form, like $argon2id$v=19$m=65536,t=3,p=4$...")
    *costs, salt, digested = match.groups()
    if any(int(cost) > most for cost, most in zip(costs, MOST_ARGON2, strict=True)):
        raise HashRefused("hash.value", "takes more memory or time than this server gives one sign-in")
    if len(_phc(salt)) < LEAST_SALT_OF_ARGON2 or len(_phc(digested)) < LEAST_OF_ARGON2:
        raise HashRefused("hash.value", "has a salt or a hash that is too short for argon2")
    return f"argon2{value}"  # which our own hasher reads


def _pbkdf2(found: Mapping[str, Any], value: str) -> str:
    match = _PBKDF2.fullmatch(value)
    if match is None:
        raise HashRefused("hash.value", "is not of the PHC form, like $pbkdf2-sha256$i=100000,l=32$...")
    digest, rounds, _, salt, digested = match.groups()
    blocks = -(-len(_phc(digested)) // DIGESTS[digest])  # each is iterated apart (RFC 8018 section 5.2)
    if not 0 < int(rounds) * blocks <= MOST_ROUNDS:
        raise HashRefused("hash.value", f"must have 1 to {MOST_ROUNDS:,} iterations, for all of its length together")
    return kept(
        {
            "a": "pbkdf2",
            "d": digest,
            "i": int(rounds),
            "s": _b64(_phc(salt)),
            "h": _b64(_phc(digested)),
            **_encoding(found),
        }
    )


def _scrypt(found: Mapping[str, Any], value: str) -> str:
    if match := _SCRYPT.fullmatch(value):
        cost, block, lanes = 2 ** int(match[1]), int(match[2]), int(match[3])
        salt, digested = _phc(match[4]), _phc(match[5])
    else:
        cost, block, lanes = (_number(found, key) for key in ("cost", "blockSize", "parallelization"))
        salt, digested = _part(found, "salt"), _part(found, "hash")
        if "keylen" in found and _number(found, "keylen") != len(digested):
            raise HashRefused("keylen", "is not the length of the hash")
    if cost < 2 or cost & (cost - 1) or 128 * cost * block * lanes > SCRYPT_MEMORY // 2:
        raise HashRefused("cost", "must be a power of 2 that takes at most 128 MB with blockSize and parallelization")
    numbers = {"n": cost, "r": block, "p": lanes}
    return kept({"a": "scrypt", **numbers, "s": _b64(salt), "h": _b64(digested), **_encoding(found)})


def _ldap(found: Mapping[str, Any], value: str) -> str:
    match = _LDAP.fullmatch(value)
    if match is None:
        raise HashRefused("hash.value", "must be like {SSHA}..., of MD5, SHA, SHA256 or SHA512")
    name = {"sha": "sha1"}.get(match[2].lower(), match[2].lower())
    data, length = _decoded(match[3], "base64", "hash.value"), DIGESTS[name]
    if len(data) < length or (len(data) > length) != bool(match[1]):
        raise HashRefused("hash.value", "has not the length of its kind")
    return kept(
        {"a": "ldap", "d": name, "h": _b64(data[:length]), "s": _b64(data[length:]), "after": True, **_encoding(found)}
    )


def _digest(found: Mapping[str, Any], value: str) -> str:
    algorithm = str(found["algorithm"])
    spec = {"a": algorithm, "d": algorithm, "h": _b64(_part(found, "hash")), **_encoding(found)}
    if algorithm == "hmac":
        spec["d"] = _text(found, "hash", "digest")
        spec["k"] = _b64(_part(found, "hash.key"))
        if spec["d"] not in DIGESTS:
            raise HashRefused("hash.digest", f"must be one of {', '.join(DIGESTS)}", "ENUM_MISMATCH")
    if len(_part(found, "hash")) != DIGESTS[spec["d"]]:
        raise HashRefused("hash.value", f"has not the length of {spec['d']}")
    if "salt" in found:
        position = _inside(found, "salt").get("position", "prefix")
        if position not in ("prefix", "suffix"):
            raise HashRefused("salt.position", "must be prefix or suffix", "ENUM_MISMATCH")
        spec |= {"s": _b64(_part(found, "salt")), "after": position == "suffix"}
    return kept(spec)


_READERS = {
    "argon2": _argon2,
    "bcrypt": lambda _, value: bcrypt_hash(value),
    "pbkdf2": _pbkdf2,
    "scrypt": _scrypt,
    "ldap": _ldap,
}


def _encoding(found: Mapping[str, Any]) -> dict[str, str]:
    """Of the password, before it is hashed."""
    if "password" not in found:
        return {}
    encoding = _inside(found, "password").get("encoding", "utf8")
    if encoding not in PASSWORD_ENCODINGS:
        raise HashRefused("password.encoding", f"must be one of {', '.join(PASSWORD_ENCODINGS)}", "ENUM_MISMATCH")
    return {} if encoding == "utf8" else {"e": str(encoding)}


def _part(found: Mapping[str, Any], path: str) -> bytes:
    """`value` of an object, by its own `encoding`: text unless it says otherwise; hashes are hexadecimal."""
    inner, usual = _inside(found, path), "hex" if path == "hash" else "utf8"
    return _decoded(_text(found, path, "value"), inner.get("encoding", usual), f"{path}.value")


def _decoded(value: str, encoding: object, path: str) -> bytes:
    try:
        match encoding:
            case "hex":
                return bytes.fromhex(value)
            case "base64":
                return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
            case "utf8":
                return value.encode()
    except (ValueError, binascii.Error):
        raise HashRefused(path, f"is not {encoding}") from None
    raise HashRefused(path.replace("value", "encoding"), "must be base64, hex or utf8", "ENUM_MISMATCH")


def _inside(found: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    inner: Any = found
    for key in path.split("."):
        inner = inner.get(key) if isinstance(inner, Mapping) else None
    if not isinstance(inner, Mapping):
        raise HashRefused(path, "is missing, or no object", "OBJECT_REQUIRED")
    return inner


def _text(found: Mapping[str, Any], path: str, key: str) -> str:
    value = _inside(found, path).get(key)
    if not isinstance(value, str) or not value or len(value) > 1000:
        raise HashRefused(f"{path}.{key}", "is missing, or no text of at most 1000 characters", "INVALID_TYPE")
    return value


def _number(found: Mapping[str, Any], key: str) -> int:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**24:
        raise HashRefused(key, "is missing, or no number", "INVALID_TYPE")
    return value


def _phc(text: str) -> bytes:
    return _decoded(text, "base64", "hash.value")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
