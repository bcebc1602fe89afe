"""Signing in at an OpenID provider: authorization code, PKCE, nonce; what comes back is believed after every check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from idp.connections.contract import (
    Account,
    Departure,
    SignInRequest,
    UpstreamFault,
    UpstreamRefused,
    UpstreamUnmet,
)
from idp.connections.oidc import client, discovery, id_token, issuers, keys, person, upstream_params, userinfo
from idp.connections.oidc import options as oidc_options
from idp.connections.oidc.discovery import Provider
from idp.connections.oidc.options import OidcOptions
from idp.connections.oidc.wire import Deadline, readable
from idp.crypto.sealing import seal, unseal
from idp.models import Connection
from idp.protocol import assurance
from idp.protocol.jwt_profile import is_time
from idp.protocol.opaque import new_secret
from idp.protocol.params import Params

LONGEST_CODE = 4096
LONGEST_SID = 255
# Errors of ours, not of the person (RFC 6749 section 4.1.2.1): they are for the administrator.
_MISCONFIGURED = frozenset(
    {"invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "invalid_client"}
)
_BROKEN = frozenset({"server_error", "temporarily_unavailable"})


class OidcProtocol:
    """The strategies of the OpenID Connect family."""

    def depart(
        self, connection: Connection, asked: SignInRequest, *, state: str, callback: str, at: datetime
    ) -> Departure:
        options = oidc_options.of(connection)
        upstream = discovery.provider(options, Deadline())
        nonce, verifier, extra = new_secret(), new_secret(), _extra(options, asked)
        url = client.authorization_url(
            options, upstream, state=state, nonce=nonce, verifier=verifier, callback=callback, extra=extra
        )
        needs_auth_time = options.preset.freshness and "max_age" in extra
        flow_data = {
            "issuer": upstream.issuer,
            "nonce": nonce,
            "verifier": verifier,
            "needs_auth_time": needs_auth_time,
        }
        return Departure(url, flow_data=flow_data)

    def arrive(
        self,
        connection: Connection,
        flow_data: Mapping[str, Any] | None,
        answer: Params,
        *,
        callback: str,
        at: datetime,
    ) -> Account:
        if flow_data is None:
            raise UpstreamFault("An answer of an OpenID provider came that nobody had asked for.")
        options, deadline = oidc_options.of(connection), Deadline()
        upstream = discovery.provider(options, deadline)
        code = _code(answer, flow_data, upstream)
        tokens = client.exchange(
            connection, upstream, code=code, verifier=str(flow_data["verifier"]), callback=callback, deadline=deadline
        )
        claims = self._claims(options, upstream, tokens, flow_data, deadline, at)
        known: dict[str, Any] = {}
        if upstream.userinfo_endpoint and person.lacks(claims, options):
            known = userinfo.claims_of(options, upstream, tokens, claims["sub"], deadline, at)
        return _account(connection, options, upstream, claims, known, tokens)

    def _claims(
        self,
        options: OidcOptions,
        upstream: Provider,
        tokens: client.Tokens,
        flow_data: Mapping[str, Any],
        deadline: Deadline,
        at: datetime,
    ) -> dict[str, Any]:
        expected = id_token.Expected(
            issuer=upstream.issuer,
            client_id=options.client_id,
            nonce=str(flow_data["nonce"]),
            algorithms=options.algorithms,
            access_token=tokens.access_token,
            needs_auth_time=bool(flow_data["needs_auth_time"]),
        )

        def find(kid: str | None, alg: str, again: bool) -> list[Any]:
            return keys.of_provider(upstream, kid, alg, deadline, suspect=again)

        return id_token.verify(tokens.id_token, expected, find, at)


def _extra(options: OidcOptions, asked: SignInRequest) -> dict[str, str]:
    """The optional parameters of the request: the connection's own, under what this sign-in wishes."""
    asked = replace(asked, acr_values=_classes(options, asked))
    preset, extra = options.preset, upstream_params.resolve(options.upstream_params, asked)
    if asked.force:
        extra["prompt"] = preset.login_prompt
    elif asked.select_account:
        extra["prompt"] = "select_account"
    if preset.freshness and (asked.force or asked.max_age is not None):
        extra["max_age"] = (
            "0" if asked.force else str(asked.max_age)
        )  # 0 makes `auth_time` required, which prompt does not
    for name in ("login_hint", "ui_locales", "acr_values"):
        if value := getattr(asked, name):
            extra[name] = value
    return extra


def _classes(options: OidcOptions, asked: SignInRequest) -> str:
    """`acr_values` as the application has them; where two factors are wanted that we would believe in, in the upstream's words.

    Those that mean it here mean nothing there.
    """
    if not (asked.two_factors and options.trust_upstream_mfa and options.mfa_acr_values):
        return asked.acr_values
    others = [name for name in asked.acr_values.split() if name not in assurance.CLASSES]
    return " ".join(dict.fromkeys([*others, *options.mfa_acr_values]))


def _code(answer: Params, flow_data: Mapping[str, Any], upstream: Provider) -> str:
    """The code of a good answer. Whose answer it is comes first (RFC 9207 section 2.4)."""
    if answer.duplicates:
        raise UpstreamFault("The answer repeats a parameter.")
    if flow_data["issuer"] != upstream.issuer:
        raise UpstreamFault("The issuer of the connection was changed while somebody was signing in.")
    named = answer.get("iss")
    if named is None and upstream.names_itself:
        raise UpstreamFault(f"The answer does not say that it is from {upstream.issuer} (iss), which it always does.")
    if named is not None and issuers.TENANT not in upstream.issuer and not issuers.matches(upstream.issuer, named):
        raise UpstreamFault(f"The answer is from another issuer than {upstream.issuer}: {readable(named)}.")
    if error := answer.get("error"):
        raise _no(error, answer.get("error_description", ""), upstream)
    code = answer.get("code", "")
    if not 0 < len(code) <= LONGEST_CODE:
        raise UpstreamFault(f"The answer of {upstream.issuer} holds neither a code nor an error.")
    return code


def _no(error: str, description: str, upstream: Provider) -> UpstreamRefused | UpstreamFault:
    """What an error answer means, and to whom."""
    said = readable(description) or readable(error)
    if error in _MISCONFIGURED:
        return UpstreamFault(f"{upstream.issuer} refused our request ({readable(error)}): {said}", status=502)
    if error in _BROKEN:
        return UpstreamFault(f"{upstream.issuer} is out of order ({error}): {said}", status=502)
    if error == assurance.UNMET:
        return UpstreamUnmet(said, error=error, detail=f"{readable(error)}: {said}")
    known = error in ("login_required", "interaction_required", "consent_required", "account_selection_required")
    return UpstreamRefused(said, error=error if known else "access_denied", detail=f"{readable(error)}: {said}")


def _account(
    connection: Connection,
    options: OidcOptions,
    provider: Provider,
    claims: Mapping[str, Any],
    known: Mapping[str, Any],
    tokens: client.Tokens,
) -> Account:
    """`known`: what the UserInfo endpoint says."""
    fields = person.profile(claims, known, options)
    email, verified = person.email(fields, {**known, **claims}, options)
    auth_time, sid = claims.get("auth_time"), claims.get("sid")
    return Account(
        sub=person.subject(claims, options),
        email=email,
        email_verified=verified,
        email_denied=person.denies_email(fields, {**known, **claims}, options),
        profile={name: value for name, value in fields.items() if name not in ("email", "email_verified")},
        auth_time=None if auth_time is None else id_token.moment_of(auth_time),
        expires_at=_end_of_session(claims) if options.session_expiry else None,
        has_proved_several=options.trust_upstream_mfa and _proved_several(claims, options),
        upstream_sid=sid if isinstance(sid, str) and len(sid) <= LONGEST_SID else "",
        upstream={
            "iss": claims["iss"],
            "sub": claims["sub"],
            "id_token": seal(tokens.id_token, hint_context(connection)),
            "end_session_endpoint": provider.end_session_endpoint,
            "sign_out_at": oidc_options.sign_out_url(connection, provider.end_session_endpoint),
        },
    )


def _proved_several(claims: Mapping[str, Any], options: OidcOptions) -> bool:
    """What the ID token says in `amr` and `acr`; what is no text says nothing."""
    amr, acr = claims.get("amr"), claims.get("acr")
    methods = [name for name in amr if isinstance(name, str)] if isinstance(amr, list) else []
    return assurance.vouches_for_several(methods, [acr] if isinstance(acr, str) else [], options.mfa_acr_values)


def _end_of_session(claims: Mapping[str, Any]) -> datetime:
    """`session_expiry`: when the session upstream ends (Auth0's enterprise connections, IPSIE SL1).

    Without it we would not know, and keep a session that may be over there: the sign-in fails, in Auth0's words.
    """
    value = claims.get("session_expiry")
    if value is None:
        raise UpstreamFault("The upstream Identity Provider did not return a session_expiry claim")
    if not is_time(value) or value <= claims["iat"]:
        raise UpstreamFault("The session_expiry of the ID token is not a time in seconds after it was issued.")
    return id_token.moment_of(value)


def id_token_hint(connection: Connection, upstream: Mapping[str, Any], url: str) -> str:
    """The ID token of a sign-in from its `Account.upstream`, in clear, for this address. Raises CannotUnseal.

    "" where there is none, and for an address that was not the one to sign out at when the person signed in: whoever
    configured it since is not who the token was for.
    """
    envelope = upstream.get("id_token")
    if upstream.get("sign_out_at", upstream.get("end_session_endpoint")) != url:
        return ""
    return unseal(str(envelope), hint_context(connection)) if envelope else ""


def hint_context(connection: Connection) -> str:
    return f"connection:{connection.name}:id_token"
