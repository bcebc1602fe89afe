"""*Test connection* for the OpenID Connect family: asks the upstream itself, trusts no cache, signs nobody in."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.utils import timezone

from idp.connections.checks import Finding
from idp.connections.contract import UpstreamFault
from idp.connections.dialects import has_own_callback
from idp.connections.oidc import client, discovery, keys
from idp.connections.oidc import options as oidc_options
from idp.connections.oidc.discovery import Provider
from idp.connections.oidc.options import OidcOptions
from idp.connections.oidc.signed import SKEW
from idp.connections.oidc.wire import Deadline, Document, readable
from idp.models import Connection

PATIENCE = 10.0  # seconds for all requests together
MADE_UP_CODE = "a-code-that-was-never-issued"


def check(connection: Connection) -> list[Finding]:
    """What an administrator should know, in the order in which a sign-in would meet it."""
    wrong = oidc_options.problems(connection.strategy, connection.options)
    if wrong:
        return [Finding("error", sentence) for sentence in wrong]
    found: list[Finding] = []
    try:
        found.extend(_ask(connection, Deadline(PATIENCE)))
    except UpstreamFault as fault:
        found.append(Finding("error", fault.reason))
    return found


def _ask(connection: Connection, deadline: Deadline) -> Iterator[Finding]:
    options = oidc_options.of(connection)
    document = Document({})
    if options.is_manual:
        yield Finding("ok", f"Configured by hand, without discovery, for the issuer {options.issuer}.")
    else:
        document = discovery.fetch(options.discovery_url, deadline)
        yield from _clock(document)
    upstream = discovery.assemble(options, document.values)
    if document.values:
        yield Finding(
            "ok", f"The discovery document names the issuer {upstream.issuer} and every endpoint that is needed."
        )
    yield from _scopes(options, document)
    yield from _keys(options, upstream, deadline)
    yield from _logout(upstream)
    yield from _credentials(connection, options, upstream, deadline)


def _clock(document: Document) -> Iterator[Finding]:
    if document.date is None:
        return
    apart = (document.date - timezone.now()).total_seconds()
    if abs(apart) > SKEW:
        side = "ahead of" if apart > 0 else "behind"
        yield Finding(
            "warning", f"The clock of the upstream is {abs(apart):.0f} s {side} ours: ID tokens may be refused."
        )


def _scopes(options: OidcOptions, document: Document) -> Iterator[Finding]:
    supported = document.values.get("scopes_supported")
    missing = [name for name in options.scope.split() if isinstance(supported, list) and name not in supported]
    if missing:
        yield Finding(
            "warning", f"The upstream does not list the scope {' '.join(missing)} among those that it supports."
        )


def _keys(options: OidcOptions, upstream: Provider, deadline: Deadline) -> Iterator[Finding]:
    allowed = ", ".join(options.algorithms)
    if upstream.algorithms and not set(upstream.algorithms) & set(options.algorithms):
        offered = ", ".join(upstream.algorithms)
        yield Finding("error", f"ID tokens are signed with {offered} there, but only {allowed} is allowed here.")
    published, _ = keys.fetch(upstream.jwks_uri, deadline)
    fitting = [entry for entry in published if any(entry.fits(name) for name in options.algorithms)]
    if fitting:
        yield Finding("ok", f"The key set has {len(fitting)} key(s) for {allowed}.")
    else:
        yield Finding("error", f"The key set has {len(published)} key(s), but none for {allowed}.")


def _logout(upstream: Provider) -> Iterator[Finding]:
    if upstream.end_session_endpoint:
        yield Finding("ok", "People can be signed out there too: it has an end_session_endpoint.")
    else:
        yield Finding("warning", "It has no end_session_endpoint: signing out here leaves people signed in there.")


def _credentials(
    connection: Connection, options: OidcOptions, upstream: Provider, deadline: Deadline
) -> Iterator[Finding]:
    """A made-up code is refused either way; why it is refused says whether the client was recognised."""
    secret = client.secret_of(connection)
    method = client.auth_method(options, upstream, has_secret=bool(secret))
    if method != "none" and not secret:
        yield Finding("error", f"The connection has no client_secret, which {method} needs.")
        return
    own = f"/{connection.name}" if has_own_callback(connection.strategy, connection.options) else ""
    callback = f"{settings.ISSUER_ORIGIN}/login/callback{own}"
    error = client.refusal_of(connection, upstream, MADE_UP_CODE, callback, deadline)
    if error == "invalid_grant":
        yield Finding("ok", f"The token endpoint recognises client_id and client_secret ({method}).")
    elif error in ("invalid_client", "unauthorized_client"):
        hint = client.REFUSALS[error]
        yield Finding("error", f"The token endpoint refuses us by {method} ({error}): {hint}.")
    else:
        said = readable(error) or "an answer without an error"
        yield Finding(
            "warning", f"Whether client_id and client_secret are right cannot be told: the token endpoint says {said}."
        )
