"""npm `oidc-provider` as an identity provider upstream: a real peer, with the habits of Okta, Google, Entra ID or ADFS.

    with OidcProvider(folder, okta(), redirect_uri=…, logout_uri=…) as upstream:
        connection = Connection(strategy="okta", options=upstream.options, …)

`Kind` says what differs; the process can be paused, stopped and restarted with other keys on its port.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from joserfc.jwk import Key

from tests.support.processes import Program, free_port
from tests.support.receiver import wait_until
from tests.support.upstreams.scripted_oidc import CLIENT, SECRET, WELL_KNOWN, rsa_key

SCRIPT = Path(__file__).with_name("oidc_provider.mjs")
TENANT = "5f6c1a2e-0b7d-4c55-9d53-3b8f6d1f2a10"
MARY = "mary"  # what is typed at the upstream, and her account's id there
EVE = "eve"  # known, but not assigned to us
REFUSAL = "User is not assigned to the client application."
STANDARD_CLAIMS = {
    "openid": ["sub"],
    "email": ["email", "email_verified"],
    "profile": ["name", "given_name", "family_name", "preferred_username", "picture", "locale", "updated_at"],
    "groups": ["groups"],
}


@dataclass(frozen=True)
class Kind:
    """One provider's habits. `{origin}` in texts is where this process listens."""

    title: str
    strategy: str
    issuer: str = "{origin}"
    mount: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    mary: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=lambda: STANDARD_CLAIMS)
    discovery: Mapping[str, Any] = field(default_factory=dict)  # over what it says by itself
    acr_values: tuple[str, ...] = ()  # what it knows of factors
    thin_id_token: bool = False  # the profile is at the UserInfo endpoint only
    pairwise: bool = False
    major: int = 9
    client: Mapping[str, Any] = field(default_factory=dict)

    def at(self, origin: str, text: Any) -> Any:
        """The text, or everything in a dictionary, with the origin in its place."""
        if isinstance(text, Mapping):
            return {name: self.at(origin, value) for name, value in text.items()}
        host = origin.partition("://")[2]
        return text.replace("{origin}", origin).replace("{host}", host) if isinstance(text, str) else text


_MARY = {"email": "mary@fabrikamcorp.com", "email_verified": True, "name": "Mary Major", "given_name": "Mary"}


def generic(major: int = 9) -> Kind:
    """Any provider; 6 does front-channel logout too, and its answers do not name their issuer."""
    return Kind("Any provider", "oidc", options={"discovery_url": "{origin}" + WELL_KNOWN}, mary=_MARY, major=major)


def okta() -> Kind:
    """Its organization's own authorization server gives thin ID tokens."""
    mary = {**_MARY, "preferred_username": "mary@fabrikamcorp.com", "groups": ["Everyone", "Sales"]}
    options = {"discovery_url": "{origin}" + WELL_KNOWN, "scope": "openid profile email groups"}
    return Kind("Okta", "okta", options=options, mary=mary, thin_id_token=True)


def google() -> Kind:
    """Hosted domain; secrets by POST or Basic; no end_session_endpoint."""
    issuer = "https://accounts.google.com"
    return Kind(
        "Google",
        "google-oauth2",
        issuer=issuer,
        options={"issuer": issuer, "discovery_url": "{origin}" + WELL_KNOWN},
        mary={**_MARY, "hd": "fabrikamcorp.com", "picture": "https://lh3.example.com/mary"},
        claims={**STANDARD_CLAIMS, "openid": ["sub", "hd"]},
        discovery={"end_session_endpoint": None},
    )


def entra() -> Kind:
    """A single directory: pairwise sub, oid and tid, an e-mail that nobody verified."""
    issuer = f"https://login.microsoftonline.com/{TENANT}/v2.0"
    return Kind(
        "Entra ID",
        "waad",
        issuer=issuer,
        options={"issuer": issuer, "tenantId": TENANT, "discovery_url": "{origin}" + WELL_KNOWN},
        mary=_entra_mary(),
        claims={**STANDARD_CLAIMS, "openid": ["sub", "tid"], "profile": [*STANDARD_CLAIMS["profile"], "oid"]},
        pairwise=True,
        client={"subject_type": "pairwise", "token_endpoint_auth_method": "client_secret_post"},
        discovery={"token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"]},
    )


def entra_common() -> Kind:
    """The endpoint of every directory: its discovery document has a placeholder where the directory's id belongs."""
    single = entra()
    return Kind(
        single.title,
        single.strategy,
        issuer=f"{{origin}}/{TENANT}/v2.0",
        options={"tenant_domain": "common", "discovery_url": "{origin}" + WELL_KNOWN},
        mary=single.mary,
        claims=single.claims,
        pairwise=True,
        client={"subject_type": "pairwise"},
        discovery={"issuer": "{origin}/{tenantid}/v2.0", "authorization_response_iss_parameter_supported": False},
    )


def _entra_mary() -> dict[str, Any]:
    return {
        "oid": "0f4f9a7e-7a0d-4d8e-8f66-6a7c4a1c9b01",
        "tid": TENANT,
        "name": "Mary Major",
        "email": "mary@fabrikamcorp.com",
        "preferred_username": "mary@fabrikam.onmicrosoft.com",
    }


def adfs() -> Kind:
    """Below /adfs; claims of Active Directory in the ID token, and nothing but sub at UserInfo."""
    return Kind(
        "ADFS",
        "adfs",
        issuer="{origin}/adfs",
        mount="/adfs",
        options={"protocol": "oidc", "discovery_url": "{origin}/adfs" + WELL_KNOWN},
        mary={"upn": "mary@fabrikamcorp.com", "unique_name": "FABRIKAM\\mary", "name": "Mary Major"},
        claims={"openid": ["sub", "upn", "unique_name", "name"], "profile": [], "email": []},
    )


KINDS = (generic, okta, google, entra, entra_common, adfs)


class OidcProvider:
    """The process. `tls` is a PEM file with key and certificate: then the origin is https."""

    def __init__(
        self,
        folder: Path,
        kind: Kind,
        *,
        redirect_uri: str,
        logout_uri: str = "",
        tls: Path | None = None,
        **client: Any,
    ) -> None:
        self.folder, self.kind, self.tls = folder, kind, tls
        self.port = free_port()
        self.origin = f"{'https' if tls else 'http'}://localhost:{self.port}"
        self.issuer = str(kind.at(self.origin, kind.issuer))
        self.keys: list[Key] = [rsa_key("one")]
        self.accounts: dict[str, dict[str, Any]] = {MARY: dict(kind.mary), EVE: {}}
        self.client = {
            "client_id": CLIENT,
            "client_secret": SECRET,
            "redirect_uris": [redirect_uri],
            "post_logout_redirect_uris": [logout_uri] if logout_uri else [],
            **kind.client,
            **client,
        }

    @property
    def options(self) -> dict[str, Any]:
        """The connection's options, but for the secret."""
        return {"client_id": CLIENT, **self.kind.at(self.origin, self.kind.options)}

    def __enter__(self) -> OidcProvider:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.program.kill()

    def start(self) -> None:
        settings = self.folder / f"provider-{self.port}.json"
        settings.write_text(json.dumps(self._settings()))
        node = shutil.which("node") or "node"
        argv = [node, str(SCRIPT), str(settings)]
        self.program = Program(argv, {**os.environ, "NODE_ENV": "test"}, self.folder / f"provider-{self.port}.log")
        self.program.log.write_text("")
        wait_until(self._is_ready, 20, f"oidc-provider did not start, see {self.program.log}")

    def _is_ready(self) -> bool:
        if self.program.process.poll() is not None:
            raise RuntimeError(self.program.text)
        return "ready" in self.program.text

    def stop(self) -> None:
        """Away, until `start()`."""
        self.program.kill()

    def rotate(self, *keys: Key) -> None:
        """Come back with other keys, as if they had been changed meanwhile."""
        self.stop()
        self.keys = list(keys)
        self.start()

    def events(self) -> list[dict[str, Any]]:
        """What it logged: `backchannel.success`, `backchannel.error`, errors of requests."""
        return [json.loads(line) for line in self.program.text.splitlines() if line.startswith("{")]

    def _settings(self) -> dict[str, Any]:
        kind = self.kind
        return {
            "major": kind.major,
            "title": kind.title,
            "port": self.port,
            "issuer": self.issuer,
            "mount": kind.mount,
            "tls": str(self.tls) if self.tls else None,
            "clients": [self.client],
            "jwks": {"keys": [key.as_dict(private=True, use="sig") for key in self.keys]},
            "claims": kind.claims,
            "acr_values": list(kind.acr_values),
            "accounts": self.accounts,
            "refusals": {EVE: REFUSAL},
            "thin_id_token": kind.thin_id_token,
            "pairwise": kind.pairwise,
            "discovery": kind.at(self.origin, kind.discovery),
        }


class Visitor:
    """A browser without pages: follows redirects, signs in at the upstream's form, stops where an answer for us begins."""

    def __init__(self, ca: Path | None = None) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(ca) if ca else True

    def answer(self, url: str, callback: str, login: str = MARY) -> str:
        """The URL of our callback, with the upstream's answer, after a sign-in that began at `url`."""
        for _ in range(12):
            if url.startswith(callback):
                return url
            response = self.session.get(url, allow_redirects=False)
            if response.status_code == 200 and 'name="login"' in response.text:
                form = {"login": login, "password": "any"}
                response = self.session.post(url, data=form, allow_redirects=False)
            if "Location" not in response.headers:
                raise AssertionError(f"{url} answered {response.status_code}: {response.text[:500]}")
            url = urljoin(url, response.headers["Location"])
        raise AssertionError(f"too many redirects, at {url}")
