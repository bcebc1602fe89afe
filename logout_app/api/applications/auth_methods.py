"""`client_authentication_methods`, Auth0's newer way to say how an application proves who it is: public keys that are credentials
of it. Here that is `token_endpoint_auth_method` with `jwks`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.models import Application
from idp.protocol.clients import PRIVATE_KEY_JWT
from idp.tenants.reader import Reader
from logout_app.api.applications import public_keys
from logout_app.api.frame import body

KEY = "client_authentication_methods"
TLS = ("tls_client_auth", "self_signed_tls_client_auth")
INSTEAD = ("token_endpoint_auth_method", "jwks", "jwks_uri")


def understood(said: Mapping[str, Any], row: Application | None) -> dict[str, Any]:
    """The body in our keys. `row`: None for an application that is made, which brings its keys; one that is there names them
    by the ids of its credentials. Raises ApiError."""
    rest = {name: value for name, value in said.items() if name != KEY}
    if said.get(KEY) is None:
        return rest
    with body.reading({KEY: said[KEY]}) as reader:
        inner = reader.inner(KEY)
        found = _read(inner, row) if inner is not None else {}
        for name in INSTEAD:
            if rest.get(name) is not None:
                reader.problem(KEY, f"says what {name} would say too: give one of them")
    return rest | found


def _read(reader: Reader, row: Application | None) -> dict[str, Any]:
    for name in TLS:
        if reader.anything(name) is not None:
            reader.problem(name, "certificates of TLS prove nobody here: use private_key_jwt")
    method = reader.inner("private_key_jwt")
    reader.done()
    if method is None:
        return {}
    given = _keys(method) if row is None else _named(method, row)
    method.done()
    if not given:
        method.problem("credentials", "is missing")
    return {"token_endpoint_auth_method": PRIVATE_KEY_JWT} | ({"jwks": {"keys": given}} if row is None else {})


def _keys(method: Reader) -> list[dict[str, Any]]:
    found = []
    for one in method.each("credentials"):
        key = public_keys.read(one)
        one.done()
        found += [key] if key else []
    return found


def _named(method: Reader, row: Application) -> list[str]:
    """All of them: each key of an application is good."""
    there = {public_keys.shape(key)["id"] for key in public_keys.keys(row)}
    named = []
    for one in method.each("credentials"):
        credential_id = one.text("id", required=True)
        one.done()
        if credential_id is not None and credential_id not in there:
            one.problem("id", "is none of this client's credentials")
        named.append(credential_id or "")
    if (named and there <= set(named)) or not there:
        return named
    method.problem("credentials", "every credential counts: delete those that are not to be used")
    return named
