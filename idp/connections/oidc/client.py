"""What is said to an upstream's endpoints, in Authlib's words: the authorization URL, the code's exchange, UserInfo."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import requests
from authlib.common.urls import add_params_to_uri
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.client import OAuth2Client

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import options as oidc_options
from idp.connections.oidc import wire
from idp.connections.oidc.discovery import Provider
from idp.connections.oidc.options import OidcOptions
from idp.connections.oidc.wire import Deadline, readable
from idp.crypto.sealing import CannotUnseal
from idp.models import Connection
from idp.protocol.opaque import new_secret

TOKEN_ENDPOINT = "The token endpoint"
SERVER_ERROR = 500
# RFC 6749 section 5.2, in words that help whoever configured the connection.
REFUSALS = {
    "invalid_client": "check client_id, client_secret and token_endpoint_auth_method",
    "unauthorized_client": "the client may not use authorization codes there",
    "invalid_grant": "the code was used before, is too old, or was issued for another callback URL",
}


class _Client(OAuth2Client):
    """Authlib's client over a session of ours, whose requests are vetted and end in time."""

    client_auth_class = OAuth2Session.client_auth_class
    token_auth_class = OAuth2Session.token_auth_class
    oauth_error_class = OAuthError

    def parse_response_token(self, resp: requests.Response) -> dict[str, Any]:
        """Authlib's own computes with lifetimes, in which we have no interest, and trips over a byte order mark."""
        try:
            answer = wire.read_object(resp)
        except ValueError:
            resp.raise_for_status()
            raise
        if "error" in answer and resp.status_code < SERVER_ERROR:  # with whatever status: 200 is a habit of some
            raise self.oauth_error_class(error=answer["error"], description=answer.get("error_description"))
        resp.raise_for_status()
        if not _is_lifetime(answer.get("expires_in")):
            raise ValueError("expires_in is no number of seconds")
        return answer


@dataclass(frozen=True, slots=True)
class Tokens:
    id_token: str
    access_token: str = ""
    is_bearer: bool = False


def authorization_url(
    options: OidcOptions,
    upstream: Provider,
    *,
    state: str,
    nonce: str,
    verifier: str,
    callback: str,
    extra: Mapping[str, str],
) -> str:
    client = _Client(None, options.client_id, scope=options.scope, redirect_uri=callback, code_challenge_method="S256")
    url, _ = client.create_authorization_url(
        upstream.authorization_endpoint, state=state, code_verifier=verifier, nonce=nonce
    )
    return str(add_params_to_uri(url, list(extra.items())))


def exchange(
    connection: Connection, upstream: Provider, *, code: str, verifier: str, callback: str, deadline: Deadline
) -> Tokens:
    """The tokens that the code stands for. Raises UpstreamFault."""
    try:
        return _tokens(_redeem(connection, upstream, code, verifier, callback, deadline))
    except OAuthError as error:
        raise UpstreamFault(_refusal(upstream.token_endpoint, error), status=502) from error


def refusal_of(connection: Connection, upstream: Provider, code: str, callback: str, deadline: Deadline) -> str:
    """The error code with which the token endpoint refuses a made-up code. Raises UpstreamFault if it does not answer."""
    try:
        _redeem(connection, upstream, code, new_secret(), callback, deadline)
    except OAuthError as error:
        return str(error.error)
    return ""


def _redeem(
    connection: Connection, upstream: Provider, code: str, verifier: str, callback: str, deadline: Deadline
) -> Mapping[str, Any]:
    """The token endpoint's answer. Raises OAuthError for its refusal, UpstreamFault for everything else."""
    options, url, secret = oidc_options.of(connection), upstream.token_endpoint, secret_of(connection)
    method = auth_method(options, upstream, has_secret=bool(secret))
    with wire.session(deadline, TOKEN_ENDPOINT, url) as session:
        client = _Client(session, options.client_id, secret, token_endpoint_auth_method=method, redirect_uri=callback)
        client.register_client_auth_method(("client_secret_basic", _basic))
        try:
            return dict(client.fetch_token(url, grant_type="authorization_code", code=code, code_verifier=verifier))
        except requests.HTTPError as error:
            status = error.response.status_code
            raise UpstreamFault(f"{TOKEN_ENDPOINT} at {url} answered HTTP {status}.", status=502) from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:  # JSON errors of requests are both
            raise UpstreamFault(f"{TOKEN_ENDPOINT} at {url} did not answer with tokens that can be read.") from error
        except requests.RequestException as error:
            raise wire.fault(TOKEN_ENDPOINT, url, error) from error


def _tokens(answer: Mapping[str, Any]) -> Tokens:
    id_token, access_token, kind = (answer.get(name) for name in ("id_token", "access_token", "token_type"))
    if not isinstance(id_token, str):
        raise UpstreamFault("The token endpoint gave no ID token: is openid in the scope, and allowed to this client?")
    return Tokens(
        id_token,
        access_token if isinstance(access_token, str) else "",
        kind is None or (isinstance(kind, str) and kind.lower() in ("bearer", "")),  # some leave it out, and mean that
    )


def _is_lifetime(value: object) -> bool:
    """Seconds, which some write as text; it may be left out."""
    if isinstance(value, str):
        return not value or (value.isascii() and value.replace(".", "", 1).isdigit())
    return value is None or isinstance(value, int | float)


def auth_method(options: OidcOptions, upstream: Provider, *, has_secret: bool) -> str:
    """How we prove who we are: as configured, else the standard's own default unless the upstream supports only the other."""
    if options.auth_method:
        return options.auth_method
    if not has_secret:
        return "none"
    supported = upstream.auth_methods
    post_only = bool(supported) and "client_secret_basic" not in supported and "client_secret_post" in supported
    return "client_secret_post" if post_only else "client_secret_basic"


def secret_of(connection: Connection) -> str:
    try:
        return oidc_options.client_secret(connection)
    except CannotUnseal as error:
        raise UpstreamFault(f"The client secret of {connection.name} cannot be read: {error}.") from error


def _basic(client: Any, method: str, uri: str, headers: dict[str, str], body: Any) -> tuple[str, dict[str, str], Any]:
    """RFC 6749 section 2.3.1: both halves are form-urlencoded first, which Authlib's own method leaves out."""
    halves = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(halves.encode()).decode()}"
    return uri, headers, body


def _refusal(url: str, error: OAuthError) -> str:
    said = readable(error.error)
    if description := readable(error.description):
        said = f"{said}: {description}"
    hint = REFUSALS.get(str(error.error))
    return f"{TOKEN_ENDPOINT} at {url} refused us ({said})" + (f": {hint}." if hint else ".")
