"""The value: a salted hash of client, origin and browser state."""

from __future__ import annotations

import base64
import hashlib

import pytest

from sessions_app.protocol.session_state import session_state

SPEC = ("OpenID Connect Session Management 1.0", "3.2")
FACTS = {"client_id": "app", "redirect_uri": "https://rp.example/cb", "browser_state": "b" * 43, "salt": "s" * 22}


@pytest.mark.spec(*SPEC, "S2 session_state is a salted hash of client id, origin and browser state")
def test_it_is_the_hash_of_client_origin_state_and_salt() -> None:
    value = session_state(**FACTS)
    assert value is not None
    hashed, _, salt = value.partition(".")
    expected = hashlib.sha256(b"app https://rp.example " + b"b" * 43 + b" " + b"s" * 22).digest()
    assert base64.urlsafe_b64decode(hashed + "=") == expected
    assert salt == "s" * 22


@pytest.mark.spec(*SPEC, "S1 session_state has no space")
def test_it_has_no_space_even_when_the_client_id_has_one() -> None:
    assert " " not in (session_state(**{**FACTS, "client_id": "my app"}) or " ")


@pytest.mark.spec(*SPEC, "S2 session_state is a salted hash of client id, origin and browser state")
@pytest.mark.parametrize(
    ("fact", "other"),
    [
        ("client_id", "other"),
        ("redirect_uri", "https://rp.example:8443/cb"),
        ("redirect_uri", "http://rp.example/cb"),
        ("browser_state", "c" * 43),
        ("salt", "t" * 22),
    ],
)
def test_every_ingredient_changes_it(fact: str, other: str) -> None:
    assert session_state(**FACTS) != session_state(**{**FACTS, fact: other})


def test_the_path_of_the_redirect_uri_does_not_matter() -> None:
    assert session_state(**FACTS) == session_state(**{**FACTS, "redirect_uri": "https://rp.example/elsewhere?x=1"})


@pytest.mark.parametrize(
    "uri", ["com.example.app:/callback", "com.example.app://callback", "urn:ietf:wg:oauth:2.0:oob"]
)
def test_an_application_without_a_web_page_gets_none(uri: str) -> None:
    assert session_state(**{**FACTS, "redirect_uri": uri}) is None


@pytest.mark.parametrize("uri", ["https://RP.Example/cb", "https://rp.example:443/cb"])
def test_the_origin_is_spelt_as_browsers_spell_it(uri: str) -> None:
    assert session_state(**{**FACTS, "redirect_uri": uri}) == session_state(**FACTS)
