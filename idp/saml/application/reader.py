"""Reading what somebody wrote of an application, setting by setting: what is wrong with any of them is said with its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from idp.protocol import uris
from idp.protocol.text import storable
from idp.saml import x509
from idp.saml.x509 import BadCertificate, Certificate

LONGEST_NAME = 1024
LONGEST_CERTIFICATES = 100_000
MOST_ENTRIES = 200
LONGEST_LIFETIME = 86_400  # seconds


class SettingsReader:
    """The settings by name; what is wrong with them is collected as (path, reason)."""

    def __init__(self, given: Mapping[str, Any], path: str = "") -> None:
        self.given, self._path = given, path
        self._known: set[str] = set()
        self.problems: list[tuple[str, str]] = []

    def wrong(self, key: str, reason: str) -> None:
        self.problems.append((f"{self._path}{key}", reason))

    def get(self, key: str) -> Any:
        self._known.add(key)
        return self.given.get(key)

    def done(self) -> None:
        for key in self.given:
            if key not in self._known:
                self.wrong(str(key), "it is not known here")

    def inner(self, key: str) -> SettingsReader:
        value = self.get(key)
        if value is not None and not isinstance(value, Mapping):
            self.wrong(key, "it must be an object")
            value = None
        return SettingsReader(value or {}, f"{self._path}{key}.")

    def text(self, key: str, *, longest: int = uris.LONGEST, check: Callable[[str], str | None] | None = None) -> str:
        value = self.get(key)
        if value is None or value == "":
            return ""
        if not isinstance(value, str) or len(value) > longest or not value.isprintable() or value.strip() != value:
            self.wrong(key, f"it must be printable text of at most {longest:,} characters")
            return ""
        if check and (reason := check(value)):
            self.wrong(key, reason)
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(key, "it must be true or false")
        return value is True

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self.get(key)
        if value is None or value == "":
            return default
        if value not in choices:
            self.wrong(key, f"it must be one of {', '.join(choices)}")
            return default
        return str(value)

    def number(self, key: str, default: int) -> int:
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LONGEST_LIFETIME:
            self.wrong(key, f"it must be a number of seconds from 1 to {LONGEST_LIFETIME:,}")
            return default
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.get(key)
        if value in (None, ""):
            return ()
        values = value if isinstance(value, list) else [value]
        if len(values) > MOST_ENTRIES or not all(_is_name(item) for item in values):
            self.wrong(key, "it must be a list of names")
            return ()
        return tuple(values)

    def names(self, key: str, *, check: Callable[[str], str | None] | None = None) -> dict[str, str]:
        value = self.get(key) or {}
        if not isinstance(value, Mapping) or len(value) > MOST_ENTRIES:
            self.wrong(key, "it must be an object")
            return {}
        for name, other in value.items():
            if not _is_name(name) or not _is_name(other):
                self.wrong(f"{key}.{str(name)[:50]}", "it must be printable text")
                return {}
            if check and (reason := check(other)):
                self.wrong(f"{key}.{name}", reason)
        return dict(value)

    def certificates(self, key: str, *, rsa: bool = False) -> tuple[Certificate, ...]:
        """PEM, one or several one after the other, or a list of them."""
        value = self.get(key)
        if value in (None, "", []):
            return ()
        texts = value if isinstance(value, list) else [value]
        found: dict[str, Certificate] = {}
        for text in texts:
            if not isinstance(text, str) or len(text) > LONGEST_CERTIFICATES or storable.problem(text):
                self.wrong(key, "it must be a certificate in PEM")
                return ()
            try:
                found.update({certificate.pem: certificate for certificate in x509.read(text)})
            except BadCertificate as error:
                self.wrong(key, f"it {error}")
        if rsa and any(not certificate.is_rsa for certificate in found.values()):
            self.wrong(key, "it must hold an RSA key: assertions are encrypted for it")
        return tuple(found.values())


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()
