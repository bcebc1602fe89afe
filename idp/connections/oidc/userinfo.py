"""The UserInfo endpoint: claims as JSON, or as a JWT that the upstream signed (OpenID Connect Core section 5.3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import requests

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import issuers, keys, wire
from idp.connections.oidc.client import TOKEN_ENDPOINT, Tokens
from idp.connections.oidc.discovery import Provider
from idp.connections.oidc.options import OidcOptions
from idp.connections.oidc.signed import LONGEST, SETTING, SKEW, verified
from idp.connections.oidc.wire import Deadline
from idp.protocol.jwt_profile import Mismatch, Parties, Profile, check_claims, is_compact

WHAT = "The UserInfo endpoint"
ACCEPT = "application/json, application/jwt"
SIGNED = Profile(
    types=frozenset({"jwt", "userinfo+jwt"}),
    algorithms=(),  # the connection's
    allowed_by=SETTING,
    leeway=SKEW,
    longest=LONGEST,
)


def claims_of(
    options: OidcOptions, upstream: Provider, tokens: Tokens, subject: object, deadline: Deadline, at: datetime
) -> dict[str, Any]:
    """What it says about this subject. Raises UpstreamFault."""
    url = upstream.userinfo_endpoint
    if not tokens.is_bearer or not tokens.access_token.isascii() or not tokens.access_token.isprintable():
        raise UpstreamFault(f"{TOKEN_ENDPOINT} at {upstream.token_endpoint} gave no Bearer token for {WHAT.lower()}.")
    answer = wire.ask(WHAT, url, deadline, Accept=ACCEPT, Authorization=f"Bearer {tokens.access_token}")
    if (token := _jwt(answer)) is not None:
        claims = _verified(token, options, upstream, deadline, at)
    else:
        claims = _read(answer, url)
    if claims.get("sub") != subject:
        if said := wire.error_in(claims):
            raise UpstreamFault(f"{WHAT} at {url} answered with an error ({said}).", status=502)
        raise UpstreamFault(f"{WHAT} at {url} speaks of somebody else than the ID token: its sub differs.")
    return claims


def _jwt(answer: requests.Response) -> str | None:
    """The JWT in it, by its type or by its looks; None for what is to be read as JSON."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    text = answer.content.strip().decode("latin-1")
    return text if kind == "application/jwt" or is_compact(text) else None


def _read(answer: requests.Response, url: str) -> dict[str, Any]:
    try:
        return wire.read_object(answer)
    except ValueError as error:
        raise UpstreamFault(f"{WHAT} at {url} is not a JSON object that can be read: {error}.", status=502) from error


def _verified(token: str, options: OidcOptions, upstream: Provider, deadline: Deadline, at: datetime) -> dict[str, Any]:
    """Its issuer and audience may be left out ("SHOULD"), and so may its times; what is there must be right."""

    def find(kid: str | None, alg: str, again: bool) -> list[Any]:
        return keys.of_provider(upstream, kid, alg, deadline, suspect=again)

    what = f"The UserInfo answer of {upstream.issuer}"
    profile = replace(SIGNED, algorithms=options.algorithms)
    claims = verified(what, token, profile=profile, find=find).claims
    times = tuple(name for name in ("exp", "iat") if name in claims)
    said = {"aud": options.client_id, **claims}
    try:
        check_claims(replace(profile, times=times), said, _parties(options, upstream), at)
    except Mismatch as mismatch:
        raise UpstreamFault(f"{what} {mismatch}.") from mismatch
    return claims


def _parties(options: OidcOptions, upstream: Provider) -> Parties:
    def is_theirs(claims: Mapping[str, Any]) -> bool:
        return "iss" not in claims or issuers.matches(upstream.issuer, claims["iss"], claims.get("tid"))

    return Parties(is_theirs, (options.client_id,), known_as="our client_id")
