"""Receivers of our security events that do what the real ones are known to do, each by its source; they read the wire, and nothing of ours.

Apple Business Manager: authentik's guide for it (fields, scopes, the callback) and bridges that record what it sends (the stream is
made with the access token of the administrator who signed in there, in the words of RISC's drafts, and must push a verification
at once). Google Workspace: its Shared Signals API (session-revoked only; the subject beside the event and in it). Okta Identity
Threat Protection: its reference of security event tokens (RS256, `aud` is the org, the subject in the event under `user`; 202
also for whom it does not know, and for a `jti` that it had).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.test import Client
from joserfc import jws, jwt
from joserfc.jwk import KeySet

AT_APPLE = "https://gsa-ws.apple.com/grandslam/GsService2/acs"
FEED = "https://federation.apple.com/feeds/business/caep"
GOOGLE = "https://sharedsignals.googleapis.com"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
OLDER_PUSH = "https://schemas.openid.net/secevent/risc/delivery-method/push"
SCOPES = "openid profile email ssf.manage ssf.read offline_access"


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


class Refused(Exception):
    """What a receiver answers with 400."""


def key_set(jwks_uri: str) -> KeySet:
    return KeySet.import_key_set(Client().get(path_of(jwks_uri)).json())


def read(body: bytes, jwks_uri: str, issuer: str) -> dict[str, Any]:
    """What RFC 8417 and the framework ask of every token, whoever reads it."""
    token = jwt.decode(body.decode(), key_set(jwks_uri), algorithms=["RS256"])
    if token.header.get("typ") != "secevent+jwt":
        raise Refused("typ")
    claims: dict[str, Any] = token.claims
    if claims["iss"] != issuer or {"sub", "exp"} & claims.keys() or len(claims["events"]) != 1:
        raise Refused(json.dumps(claims))
    return claims


@dataclass
class AppleBusinessManager:
    """`pasted`: what an administrator types there. `browser`: theirs, which Apple sends to us and back."""

    pasted: dict[str, str]
    browser: Client
    tokens: dict[str, Any] = field(default_factory=dict)
    stream: dict[str, Any] = field(default_factory=dict)
    heard: dict[str, dict[str, Any]] = field(default_factory=dict)
    header: str = field(default_factory=lambda: secrets.token_hex(16))

    def __post_init__(self) -> None:
        self.signals = Client().get(path_of(self.pasted["ssf_config"])).json()
        self.openid = Client().get(path_of(self.pasted["openid_config"])).json()

    def authorization(self) -> str:
        """Where it sends the administrator."""
        self.state, self.nonce = secrets.token_hex(16), secrets.token_hex(16)
        asked = {
            "client_id": self.pasted["client_id"],
            "redirect_uri": AT_APPLE,
            "response_type": "code",
            "scope": SCOPES,
            "state": self.state,
            "nonce": self.nonce,
        }
        return f"{path_of(self.openid['authorization_endpoint'])}?{urlencode(asked)}"

    def came_back(self, location: str) -> dict[str, Any]:
        """The claims of the ID token, after it redeemed the code."""
        assert location.startswith(AT_APPLE), location
        answer = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert answer["state"] == self.state, answer
        self._redeem(grant_type="authorization_code", code=answer["code"], redirect_uri=AT_APPLE)
        claims = jwt.decode(self.tokens["id_token"], key_set(self.openid["jwks_uri"]), algorithms=["RS256"]).claims
        assert claims["nonce"] == self.nonce
        for name in (
            "given_name",
            "family_name",
            "email",
        ):  # without one of them it says that the account is not complete
            assert claims.get(name), name
        return dict(claims)

    def refresh(self) -> None:
        self._redeem(grant_type="refresh_token", refresh_token=self.tokens["refresh_token"])

    def _redeem(self, **form: str) -> None:
        secret = {"client_id": self.pasted["client_id"], "client_secret": self.pasted["client_secret"]}
        answer = Client().post(
            path_of(self.openid["token_endpoint"]), urlencode(form | secret), "application/x-www-form-urlencoded"
        )
        assert answer.status_code == 200, answer.content
        self.tokens |= answer.json()

    def connect(self, endpoint: str) -> Any:
        """Make the stream. The verification is to come by itself; without it Apple takes the connection back."""
        wanted = {
            "iss": self.signals["issuer"],
            "aud": [f"{FEED}/{secrets.token_hex(8)}", self.pasted["client_id"]],
            "delivery": {
                "method": OLDER_PUSH,
                "endpoint_url": endpoint,
                "endpoint_url_token": self.header,
            },
            "events_requested": [f"{CAEP}session-revoked", f"{CAEP}credential-change"],
            "format": "email",
        }
        answer = self.manage("POST", self.signals["configuration_endpoint"], wanted)
        if answer.status_code == 201:
            self.stream = answer.json()
            assert self.stream["delivery"]["method"] == OLDER_PUSH
            assert self.stream["aud"] == wanted["aud"]
        return answer

    def manage(self, method: str, url: str, body: Any = None, **query: str) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        address = f"{path_of(url)}?{urlencode(query)}" if query else path_of(url)
        data = json.dumps(body) if body is not None else ""
        return Client().generic(method, address, data, content_type="application/json", headers=headers)

    def take(self, head: dict[str, str], body: bytes) -> str:
        """One push; the name of its event."""
        assert head["Authorization"] == f"Bearer {self.header}"
        assert head["Content-Type"] == "application/secevent+jwt"
        claims = read(body, self.signals["jwks_uri"], self.signals["issuer"])
        assert claims["aud"] == self.stream["aud"]
        [(uri, event)] = claims["events"].items()
        if uri == VERIFICATION:
            assert claims["sub_id"] == {"format": "opaque", "id": self.stream["stream_id"]}
            self.heard[claims["jti"]] = {"state": event.get("state")}
        else:
            assert claims["sub_id"]["format"] == "email", "people are known by their Managed Apple Account"
            self.heard[claims["jti"]] = {"email": claims["sub_id"]["email"]}
        return str(uri.rpartition("/")[2])


@dataclass
class GoogleWorkspace:
    """A receiver that was set up by hand: whom it signed out."""

    jwks_uri: str
    issuer: str
    header: str
    signed_out: list[str] = field(default_factory=list)

    def take(self, head: dict[str, str], body: bytes) -> None:
        assert head["Authorization"] == self.header
        claims = read(body, self.jwks_uri, self.issuer)
        [(uri, event)] = claims["events"].items()
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if audience != [GOOGLE] or (uri != f"{CAEP}session-revoked" and uri != VERIFICATION):
            raise Refused(json.dumps(claims))
        if uri == VERIFICATION:
            return
        assert claims["sub_id"] == event["subject"], "beside the event and in it"
        assert 1_000_000_000 < event["event_timestamp"] < 100_000_000_000, "seconds"
        self.signed_out.append(claims["sub_id"]["email"])


@dataclass
class OktaOrg:
    """`people`: by their addresses. Answers 202 whatever it makes of a token that is one."""

    url: str
    jwks_uri: str
    issuer: str
    people: set[str]
    at_risk: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def take(self, head: dict[str, str], body: bytes) -> int:
        assert head["Content-Type"] == "application/secevent+jwt"
        assert jws.extract_compact(body).headers()["alg"] == "RS256"
        claims = read(body, self.jwks_uri, self.issuer)
        if claims["aud"] not in (self.url, [self.url]):
            raise Refused("aud")
        [(uri, event)] = claims["events"].items()
        if claims["jti"] not in self.seen and uri != VERIFICATION:
            user = event["subject"]["user"]
            if user["format"] == "email" and user["email"] in self.people:
                self.at_risk.append(user["email"])
        self.seen.add(claims["jti"])
        return 202
