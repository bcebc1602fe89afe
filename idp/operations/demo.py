"""The demo: Mary of Fabrikam, an administrator, three applications (one of them speaks SAML), and an Okta organisation upstream,
all on this machine.

Credentials are made at first start.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from django.conf import settings
from django.utils import timezone

from idp.models import Connection
from idp.processes.children import Child
from idp.scim import tokens
from idp.tenants import apply as tenant

MARY = "mary@fabrikamcorp.com"
ADMINISTRATOR = "admin@fabrikamcorp.com"
CONNECTION = "FabrikamAD"
# slug of examples/demo_app, name, client_id; they run at PORT+1, PORT+2 and PORT+3.
APPS = (
    ("debugger", "JWT Debugger", "ATqGIGvsX5d9AWiOypgPOEBGkOVbrf55"),
    ("sharepoint", "SharePoint Intranet", "bOFty3tWgpijnwMcltysNFqHgO1ziz1I"),
    ("timesheet", "Timesheet SaaS", "h2NE1kxhzzFgLpNBvcCuyefjfwFVGx49"),
)
SAML_APP = "sharepoint"
# examples/okta_org, at PORT+4: who signs in there needs no password.
OKTA = "Acme Okta"
OKTA_CONNECTION = "acme-okta"
OKTA_CLIENT_ID = "0oacurfew1acme5d7"
OKTA_PORT = 4
SCIM_TOKEN = "okta_scim"
SAML_KEY, SAML_CERTIFICATE = "saml_key", "saml_certificate"
LOOPBACK = ("127.0.0.0/8", "::1/128")


def prepare(port: int) -> list[str]:
    """Apply the demo's tenant file; returns the lines to print when everything runs."""
    credentials = kept_credentials()
    path = settings.DATA / "demo" / "tenant.yaml"
    path.write_text(yaml.safe_dump(_tenant_file(port, credentials), sort_keys=False, allow_unicode=True))
    path.chmod(0o600)
    _apply(path)
    _let_okta_provision(credentials)
    width = max(len(name) for name in (*(name for _, name, _ in APPS), "Administrator"))
    lines = [f"  {name:<{width}}  {_home(port, index)}" for index, (_, name, _) in enumerate(APPS)]
    return [
        "Sign in once, use three apps, then sign out in one of them:",
        *lines,
        f"  {'Mary':<{width}}  {MARY}  {credentials['mary']}",
        f"  {'Administrator':<{width}}  {ADMINISTRATOR}  {credentials['administrator']}  at {settings.ISSUER}admin/",
        f"  {OKTA:<{width}}  {_okta(port)}  its people sign in without a password; its console signs them out of everything and deactivates them",
    ]


def _apply(path: Path) -> None:
    """The demo's applications are on loopback, which is open to whatever serves the demo (`up`)."""
    kept = settings.OUTBOUND_ALLOW
    settings.OUTBOUND_ALLOW = [*kept, *LOOPBACK]
    try:
        tenant.apply(path, at=timezone.now())
    finally:
        settings.OUTBOUND_ALLOW = kept


def _let_okta_provision(credentials: dict[str, str]) -> None:
    """With a token of its own, kept with the other credentials; a new one if somebody has removed it."""
    at, actor = timezone.now(), tenant.ACTOR
    if tokens.find(credentials.get(SCIM_TOKEN, ""), at) is not None:
        return
    connection = Connection.objects.get(name=OKTA_CONNECTION)
    try:
        made = tokens.create(tokens.switch_on(connection, actor=actor, at=at), actor=actor, at=at)
    except tokens.CannotProvision:  # two of somebody else's: the demo's Okta says that it has none
        return
    _keep(credentials | {SCIM_TOKEN: made.raw})


def children(port: int) -> list[Child]:
    """The three applications and the Okta organisation as programs to run beside Curfew."""
    credentials = kept_credentials()
    return [*(_child(port, index, credentials) for index in range(len(APPS))), _okta_child(port, credentials)]


def kept_credentials() -> dict[str, str]:
    """Passwords and client secrets, made once and kept in CURFEW_DATA, readable by the owner only."""
    path = _kept_at()
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    made = {name: _password() for name in ("mary", "administrator")}
    made |= {name: secrets.token_urlsafe(32) for name in (*(slug for slug, _, _ in APPS), "okta")}
    missing = {name: made[name] for name in sorted(made.keys() - kept.keys())}
    if not {SAML_KEY, SAML_CERTIFICATE} <= kept.keys():
        missing |= _key_pair()
    if missing:
        kept |= missing
        _keep(kept)
    return kept


def _key_pair() -> dict[str, str]:
    """With which the application that speaks SAML signs, and the certificate by which we know it."""
    key = rsa.generate_private_key(65537, 2048)
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SAML_APP)]), timezone.now()
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {SAML_KEY: private.decode(), SAML_CERTIFICATE: certificate.public_bytes(encoding).decode()}


def _keep(credentials: dict[str, str]) -> None:
    path = _kept_at()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".new")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(credentials, file, indent=2)
    partial.replace(path)  # a start that was cut short leaves no half of it


def _kept_at() -> Path:
    path: Path = settings.DATA / "demo" / "credentials.json"
    return path


def _password() -> str:
    """72 random bits in a form that can be typed."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(3))


def _home(port: int, index: int) -> str:
    return f"http://localhost:{port + 1 + index}/"


def _okta(port: int) -> str:
    return f"http://localhost:{port + OKTA_PORT}/"


def _tenant_file(port: int, credentials: dict[str, str]) -> dict[str, Any]:
    return {
        "tenant": {"friendly_name": "Fabrikam"},
        "clients": [_client(port, index, credentials) for index in range(len(APPS))],
        "connections": [
            {"name": CONNECTION, "strategy": "auth0", "options": {"disable_signup": True}},
            {
                "name": OKTA_CONNECTION,
                "strategy": "okta",
                "display_name": OKTA,
                "options": {
                    "discovery_url": f"{_okta(port)}.well-known/openid-configuration",
                    "client_id": OKTA_CLIENT_ID,
                    "client_secret": credentials["okta"],
                    "domain_aliases": ["acme.example"],
                },
            },
        ],
        "users": [
            {
                "connection": CONNECTION,
                "email": MARY,
                "email_verified": True,
                "password": credentials["mary"],
                "name": "Mary Baker",
                "given_name": "Mary",
                "family_name": "Baker",
            },
            {
                "connection": CONNECTION,
                "email": ADMINISTRATOR,
                "email_verified": True,
                "password": credentials["administrator"],
                "name": "Ada Administrator",
                "administrator": True,
            },
        ],
    }


def _client(port: int, index: int, credentials: dict[str, str]) -> dict[str, Any]:
    slug, name, client_id = APPS[index]
    home = _home(port, index)
    if slug == SAML_APP:
        return _saml_client(home, name, client_id, credentials)
    return {
        "client_id": client_id,
        "client_secret": credentials[slug],
        "name": name,
        "app_type": "regular_web",
        "token_endpoint_auth_method": "client_secret_post",
        "callbacks": [f"{home}callback"],
        "allowed_logout_urls": [f"{home}signed-out"],
        "web_origins": [home.rstrip("/")],
        "oidc_logout": {
            "backchannel_logout_urls": [f"{home}backchannel-logout"],
            "backchannel_logout_initiators": {"mode": "all"},
            "frontchannel_logout_uri": f"{home}frontchannel-logout",
            "frontchannel_logout_session_required": True,
        },
    }


def _saml_client(home: str, name: str, client_id: str, credentials: dict[str, str]) -> dict[str, Any]:
    """Empty lists: it was an OpenID Connect application in older demos."""
    return {
        "client_id": client_id,
        "name": name,
        "app_type": "regular_web",
        "grant_types": [],
        "callbacks": [f"{home}acs"],
        "allowed_logout_urls": [],
        "web_origins": [],
        "oidc_logout": {"backchannel_logout_urls": [], "frontchannel_logout_uri": ""},
        "addons": {
            "samlp": {
                "audience": f"{home}metadata",
                "signingCert": credentials[SAML_CERTIFICATE],
                "nameIdentifierFormat": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
                "mappings": {"email": "mail", "name": "displayName"},
                "passthroughClaimsWithNoMapping": False,
                "signResponse": True,
                "signAssertion": True,
                "binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
                "logout": {"callback": f"{home}slo", "soap": f"{home}slo/soap"},
            }
        },
    }


def _child(port: int, index: int, credentials: dict[str, str]) -> Child:
    slug, name, client_id = APPS[index]
    peers = {other: _home(port, place) for place, (_, other, _) in enumerate(APPS) if place != index}
    speaks_saml = slug == SAML_APP
    keys = {"DEMO_SAML_KEY": credentials[SAML_KEY], "DEMO_SAML_CERTIFICATE": credentials[SAML_CERTIFICATE]}
    return Child(
        name,
        [sys.executable, "-m", f"examples.demo_app.{'saml_app' if speaks_saml else 'app'}"],
        {
            "DEMO_APP": slug,
            "DEMO_PORT": str(port + 1 + index),
            "DEMO_ISSUER": settings.ISSUER,
            "DEMO_CLIENT_ID": client_id,
            "DEMO_PEERS": json.dumps(peers),
            **(keys if speaks_saml else {"DEMO_CLIENT_SECRET": credentials[slug]}),
        },
    )


def _okta_child(port: int, credentials: dict[str, str]) -> Child:
    return Child(
        OKTA,
        [sys.executable, "-m", "examples.okta_org.app"],
        {
            "OKTA_PORT": str(port + OKTA_PORT),
            "OKTA_CURFEW": settings.ISSUER,
            "OKTA_CONNECTION": OKTA_CONNECTION,
            "OKTA_CLIENT_ID": OKTA_CLIENT_ID,
            "OKTA_CLIENT_SECRET": credentials["okta"],
            "OKTA_SCIM_TOKEN": credentials.get(SCIM_TOKEN, ""),
        },
    )
