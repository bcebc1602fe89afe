"""The options of a connection by OpenID Connect, typed. What is given explicitly wins over what is discovered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.connections.oidc import attributes, issuers, presets, upstream_params
from idp.connections.oidc.attributes import AttributeMap
from idp.connections.oidc.presets import Preset
from idp.connections.options import secret
from idp.models import Connection, Strategy
from idp.protocol import uris
from idp.protocol.standard_scopes import OPENID

# Public keys only: an HMAC would make the client secret, which we send to the upstream, a key that signs people in.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
DEFAULT_ALGORITHMS = ("RS256",)
AUTH_METHODS = ("client_secret_basic", "client_secret_post", "none")
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint")
NEEDED = ENDPOINTS[:3]
# Google announces no end_session_endpoint; its own sign-out page sends nobody back.
GOOGLE_SIGN_OUT = "https://accounts.google.com/Logout"


@dataclass(frozen=True, slots=True)
class OidcOptions:
    """`issuer` "" is learned from discovery; `auth_method` "" is chosen by what the upstream supports."""

    strategy: str
    preset: Preset
    client_id: str = ""
    auth_method: str = ""
    scope: str = ""
    discovery_url: str = ""
    issuer: str = ""
    endpoints: Mapping[str, str] = field(default_factory=dict)
    end_session_endpoint: str = ""
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    attribute_map: AttributeMap = field(default_factory=AttributeMap)
    upstream_params: Mapping[str, Any] = field(default_factory=dict)
    session_expiry: bool = False
    trust_upstream_mfa: bool = False
    mfa_acr_values: tuple[str, ...] = ()
    subject_claims: tuple[str, ...] = ("sub",)
    several_tenants: bool = False
    other_revokers: tuple[str, ...] = ()  # issuers beside its own whose Global Token Revocation requests count
    revocation_subject: str = ""  # what these requests call us, if not `client_id`

    @property
    def is_manual(self) -> bool:
        """Whether nothing is left to be discovered."""
        return bool(self.issuer) and all(name in self.endpoints for name in NEEDED)


def of(connection: Connection) -> OidcOptions:
    return read(connection.strategy, connection.options)


def sign_out_url(connection: Connection, learned: str) -> str:
    """Where people sign out: the connection's own `logout.url`, else what it configures, else what discovery says; "" for nowhere."""
    given = connection.options.get("logout")
    if isinstance(given, Mapping) and given.get("url"):
        return str(given["url"])
    known = of(connection).end_session_endpoint or learned
    return known or (GOOGLE_SIGN_OUT if connection.strategy == Strategy.GOOGLE else "")


def client_secret(connection: Connection) -> str:
    """In clear, "" where there is none. Raises CannotUnseal."""
    return secret(connection, "client_secret")


def read(strategy: str, options: Mapping[str, Any]) -> OidcOptions:
    """What the options say; a value of a wrong type counts as not given (`problems()` complains about it)."""
    preset = presets.PRESETS[strategy]
    mapping = attributes.read(options.get("attribute_map"))
    own_issuer = _text(options, "issuer")
    algorithms = tuple(name for name in _texts(options, "id_token_signed_response_algs") if name in ALGORITHMS)
    metadata = options.get("oidc_metadata")
    return OidcOptions(
        strategy=strategy,
        preset=preset,
        client_id=_text(options, "client_id"),
        auth_method=_text(options, "token_endpoint_auth_method"),
        scope=_scope(options, preset, mapping),
        discovery_url=_discovery_url(strategy, options),
        issuer=own_issuer or ("" if _text(options, "discovery_url") else presets.issuer(strategy, options)),
        endpoints={name: url for name in ENDPOINTS if (url := _text(options, name))},
        end_session_endpoint=_text(metadata, "end_session_endpoint") if isinstance(metadata, Mapping) else "",
        algorithms=algorithms or DEFAULT_ALGORITHMS,
        attribute_map=mapping,
        upstream_params=upstream_params.read(options.get("upstream_params")),
        session_expiry=options.get("id_token_session_expiry_supported") is True,
        trust_upstream_mfa=options.get("trust_upstream_mfa") is True,
        mfa_acr_values=tuple(_texts(options, "mfa_acr_values")) or preset.mfa_acr_values,
        subject_claims=presets.subject_claims(strategy, options),
        several_tenants=strategy == Strategy.ENTRA and presets.entra_tenant(options) in presets.SEVERAL_TENANTS,
        other_revokers=presets.other_revokers(strategy, options),
        revocation_subject=_text(options, "global_token_revocation_jwt_sub"),
    )


def _discovery_url(strategy: str, options: Mapping[str, Any]) -> str:
    if url := _text(options, "discovery_url"):
        return url
    if issuer := _text(options, "issuer"):
        return issuer.rstrip("/") + issuers.WELL_KNOWN
    return presets.discovery_url(strategy, options)


def _scope(options: Mapping[str, Any], preset: Preset, mapping: AttributeMap) -> str:
    given = _texts(options, "scope") or _text(options, "scope").split() or preset.scope.split()
    return " ".join(dict.fromkeys([OPENID, *given, *mapping.userinfo_scope.split()]))


def _text(options: Mapping[str, Any], name: str) -> str:
    value = options.get(name)
    return value if isinstance(value, str) else ""


def _texts(options: Mapping[str, Any], name: str) -> list[str]:
    value = options.get(name)
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def problems(strategy: str, options: Mapping[str, Any]) -> list[str]:
    """What is wrong with these options, each sentence beginning with the option's path and a colon.

    The client secret is none of them: it is kept apart.
    """
    found = (
        [] if _text(options, "client_id") else ["client_id: is missing, it is what the upstream calls this connection"]
    )
    found += _problems_of_place(strategy, options)
    found += _problems_of_urls(options)
    found += _problems_of_choices(strategy, options)
    if "attribute_map" in options:
        found += attributes.problems(options["attribute_map"])
    if "upstream_params" in options:
        found += upstream_params.problems(options["upstream_params"])
    return found


def _problems_of_place(strategy: str, options: Mapping[str, Any]) -> list[str]:
    """Whether it can be known where the upstream is, and whose word counts there."""
    known = read(strategy, options)
    if not known.is_manual and not known.discovery_url:
        return [_WHERE.get(strategy, "discovery_url: give this, or issuer with the endpoints and jwks_uri")]
    if strategy == Strategy.OKTA and (domain := _text(options, "domain")):
        return _problems_of_okta(domain, has_discovery_url=bool(_text(options, "discovery_url")))
    if strategy == Strategy.ADFS and (server := _text(options, "adfs_server")):
        why = _host_problem(presets.adfs_host(server))
        return [f"adfs_server: must be the host name of the server, like adfs.example.com: {why}"] if why else []
    if strategy == Strategy.ENTRA and (tenant := presets.entra_tenant(options)) and uris.check_host(tenant):
        return [
            "tenantId: must be the id of the directory, or give a domain like example.onmicrosoft.com in tenant_domain"
        ]
    learns = not known.issuer and strategy != Strategy.ENTRA
    if learns and not issuers.of_discovery_url(known.discovery_url):
        return [f"discovery_url: must end in {issuers.WELL_KNOWN}, or issuer must be given too"]
    return []


def _problems_of_okta(domain: str, *, has_discovery_url: bool) -> list[str]:
    host, server = presets.okta_host(domain), presets.okta_server(domain)
    if why := _host_problem(host):
        return [f"domain: must be the host name of the Okta organization, like example.okta.com: {why}"]
    if server and not has_discovery_url:
        there = f"https://{host}{server}{issuers.WELL_KNOWN}"
        return [
            f"domain: names a custom authorization server: if people are to sign in there, give discovery_url {there}"
        ]
    return []


_WHERE: Mapping[str, str] = {
    Strategy.OKTA: "domain: give the host name of the Okta organization, or discovery_url of an authorization server there",
    Strategy.ENTRA: "tenantId: give this or tenant_domain, the directory whose people sign in",
    Strategy.ADFS: "adfs_server: give the host name of the ADFS server",
}


def _host_problem(host: str) -> str | None:
    name, _, port = host.partition(":")
    return uris.check_host(name) or (None if not port or port.isdecimal() else "the port cannot be read")


def _problems_of_urls(options: Mapping[str, Any]) -> list[str]:
    names = ("discovery_url", "issuer", *ENDPOINTS, "global_token_revocation_jwt_iss")
    given = {name: options[name] for name in names if name in options}
    metadata = options.get("oidc_metadata", {})
    if not isinstance(metadata, Mapping):
        return ["oidc_metadata: must be an object"]
    if "end_session_endpoint" in metadata:
        given["oidc_metadata.end_session_endpoint"] = metadata["end_session_endpoint"]
    return [f"{name}: {why}" for name, url in given.items() if (why := url_problem(url))]


def url_problem(url: object) -> str | None:
    """Why this is no URL of an upstream, or None. Whether we may go there is asked where we go: it depends on the process."""
    return uris.check_web_url(url) if isinstance(url, str) else "it must be a URL"


def _problems_of_choices(strategy: str, options: Mapping[str, Any]) -> list[str]:
    found = []
    algorithms = options.get("id_token_signed_response_algs")
    if algorithms is not None and (
        not isinstance(algorithms, list) or not set(map(str, algorithms)) <= set(ALGORITHMS)
    ):
        found.append(f"id_token_signed_response_algs: may hold {', '.join(ALGORITHMS)}, algorithms with a public key")
    if options.get("token_endpoint_auth_method", AUTH_METHODS[0]) not in AUTH_METHODS:
        found.append(f"token_endpoint_auth_method: must be one of {', '.join(AUTH_METHODS)}")
    if options.get("type", "back_channel") != "back_channel":
        found.append("type: must be back_channel, tokens never travel through the browser")
    if strategy == Strategy.ADFS and options.get("protocol", "oidc") != "oidc":
        found.append("protocol: must be oidc or samlp")
    if strategy == Strategy.ADFS and not isinstance(options.get("user_id_attribute", ""), str):
        found.append("user_id_attribute: must be the name of one claim")
    if strategy == Strategy.ENTRA and options.get("waad_protocol", "openid-connect") != "openid-connect":
        found.append("waad_protocol: must be openid-connect")
    ticks = ("id_token_session_expiry_supported", "own_callback")
    return found + [
        f"{name}: must be true or false" for name in ticks if not isinstance(options.get(name, False), bool)
    ]
