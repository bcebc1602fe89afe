"""Where an upstream's endpoints are: configured, discovered (OpenID Connect Discovery 1.0), or a bit of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idp.connections.contract import UpstreamFault
from idp.connections.oidc import issuers, wire
from idp.connections.oidc.document_cache import Shelf
from idp.connections.oidc.options import ENDPOINTS, NEEDED, OidcOptions, url_problem
from idp.connections.oidc.wire import Deadline
from idp.models import Strategy
from idp.outbound import policy, rules
from idp.protocol import uris

WHAT = "The discovery document"
_documents: Shelf[Mapping[str, Any]] = Shelf(WHAT)


@dataclass(frozen=True, slots=True)
class Provider:
    """An upstream as it is used: every URL vetted. `issuer` may hold Entra's {tenantid}."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    auth_methods: tuple[str, ...] = ()  # () where the upstream does not say
    algorithms: tuple[str, ...] = ()
    names_itself: bool = False  # RFC 9207: its answers carry `iss`
    frontchannel_logout: bool = False
    backchannel_logout: bool = False


def provider(options: OidcOptions, deadline: Deadline) -> Provider:
    """Raises UpstreamFault when the upstream cannot be known."""
    if options.is_manual:
        return assemble(options, {})
    if not options.discovery_url:
        raise UpstreamFault("The connection says neither where its discovery document is nor all of its endpoints.")
    document = _document(options.discovery_url, deadline)
    try:
        return assemble(options, document)
    except UpstreamFault:
        if (newer := _document(options.discovery_url, deadline, newer=True)) is document:
            raise
        return assemble(options, newer)  # a mistake there that was corrected meanwhile


def _document(url: str, deadline: Deadline, *, newer: bool = False) -> Mapping[str, Any]:
    return _documents.get(url, lambda: _fetched(url, deadline), deadline, newer=newer)


def _fetched(url: str, deadline: Deadline) -> tuple[Mapping[str, Any], int | None]:
    document = fetch(url, deadline)
    return document.values, document.max_age


def fetch(url: str, deadline: Deadline) -> wire.Document:
    """The document from its server, whatever is kept."""
    document = wire.fetch(WHAT, url, deadline)
    if not isinstance(document.values.get("issuer"), str):
        said = wire.error_in(document.values)
        raise UpstreamFault(f"{WHAT} at {url} names no issuer{f', but an error: {said}' if said else ''}.", status=502)
    return document


def key_set_of(issuer: str, deadline: Deadline) -> str:
    """The key set of an issuer that only signs, wherever people sign in. Raises UpstreamFault."""
    return _endpoint_of(issuer, "jwks_uri", deadline)


def token_endpoint_of(issuer: str, deadline: Deadline) -> str:
    """Where this issuer gives access tokens, wherever people sign in. Raises UpstreamFault."""
    return _endpoint_of(issuer, "token_endpoint", deadline)


def _endpoint_of(issuer: str, name: str, deadline: Deadline) -> str:
    url = issuer.rstrip("/") + issuers.WELL_KNOWN
    document = _document(url, deadline)
    if str(document["issuer"]).rstrip("/") != issuer.rstrip("/"):
        raise UpstreamFault(f"{WHAT} at {url} names another issuer: {str(document['issuer'])[:200]}.", status=502)
    if reason := _unusable(document.get(name) or ""):
        raise UpstreamFault(f"The {name} of {issuer} cannot be used: {reason}.", status=502)
    return str(document[name])


def assemble(options: OidcOptions, document: Mapping[str, Any]) -> Provider:
    """Options over document, every part checked."""
    issuer = _issuer(options, document)
    endpoints = {name: options.endpoints.get(name) or document.get(name) or "" for name in ENDPOINTS}
    endpoints["end_session_endpoint"] = options.end_session_endpoint or document.get("end_session_endpoint") or ""
    for name, url in endpoints.items():
        if not url and name not in NEEDED:
            continue
        if reason := _unusable(url) if url else "it is missing":
            raise UpstreamFault(f"The {name} of {issuer} cannot be used: {reason}.")
    return Provider(
        issuer=issuer,
        auth_methods=_names(document, "token_endpoint_auth_methods_supported"),
        algorithms=_names(document, "id_token_signing_alg_values_supported"),
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        frontchannel_logout=document.get("frontchannel_logout_supported") is True,
        backchannel_logout=document.get("backchannel_logout_supported") is True,
        **endpoints,
    )


def _unusable(url: object) -> str | None:
    """No URL that somebody's discovery document names is trusted further than one that an administrator typed."""
    if reason := url_problem(url):
        return reason
    reason = policy.check_url(str(url), rules())
    return f"it {reason}" if reason else None


def _issuer(options: OidcOptions, document: Mapping[str, Any]) -> str:
    """The issuer whose tokens count. A document that names another one is not this connection's."""
    if not document:
        return options.issuer
    named = str(document["issuer"])
    expected = (options.issuer,) if options.issuer else issuers.of_discovery_url(options.discovery_url)
    if named in expected or (not options.issuer and options.strategy == Strategy.ENTRA and _is_entra(options, named)):
        return named
    raise UpstreamFault(
        f"{WHAT} at {options.discovery_url} names the issuer {named[:200]}, but {' or '.join(expected) or 'another'} is expected."
    )


def _is_entra(options: OidcOptions, named: str) -> bool:
    """A directory that is configured by its domain is named by its id; only endpoints for several have a placeholder."""
    if uris.origin(named) != uris.origin(options.discovery_url):
        return False
    return issuers.TENANT not in named or options.several_tenants


def _names(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = document.get(name)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def forget() -> None:
    """Begin anew: for tests, where a port is soon somebody else's."""
    _documents.clear()
