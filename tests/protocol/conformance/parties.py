"""The two parties of a conformance module: a browser without scripts, and a confidential client that sends no PKCE."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import requests
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.rps.running import CLIENT_SECRET, MARY, PASSWORD

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Page(HTMLParser):
    """What a person can do on a page: its first form, its links and its frames."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self.url, self.text, self.status = response.url, response.text, response.status_code
        self.action = ""
        self._forms = 0
        self.fields: dict[str, str] = {}
        self.buttons: dict[str, str] = {}
        self.links: list[str] = []
        self.frames: list[str] = []
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._forms += 1
            self.action = self.action or urljoin(self.url, have.get("action", self.url))
        elif "disabled" in have or (tag in ("input", "button") and self._forms > 1):
            return  # a browser sends neither
        elif tag == "input" and have.get("name"):
            self.fields[have["name"]] = have.get("value", "")
        elif tag == "button" and have.get("name"):
            self.buttons.setdefault(have["name"], have["value"])
        elif tag == "a" and have.get("href"):
            self.links.append(urljoin(self.url, have["href"]))
        elif tag == "iframe" and have.get("src"):
            self.frames.append(have["src"])


class Browser:
    """Follows redirects like a browser of the suite, and stops where one leaves the provider."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.http = requests.Session()
        self.http.headers.update(HTML)

    def open(self, url: str, params: dict[str, str] | None = None) -> Page | str:
        """The page at the end of the redirects, or the address outside of the provider that they lead to."""
        return self._follow(self.http.get(_with(url, params or {}), allow_redirects=False, timeout=20))

    def post(self, url: str, data: dict[str, str]) -> Page | str:
        headers = {"Origin": self.issuer.rstrip("/"), "Referer": url}
        return self._follow(self.http.post(url, data=data, headers=headers, allow_redirects=False, timeout=20))

    def submit(self, page: Page, **fields: str) -> Page | str:
        return self.post(page.action, {**page.fields, **page.buttons, **fields})

    def _follow(self, response: requests.Response) -> Page | str:
        for _ in range(10):
            if "Location" not in response.headers:
                return Page(response)
            target = urljoin(response.url, response.headers["Location"])
            if not target.startswith(self.issuer):
                return target
            response = self.http.get(target, allow_redirects=False, timeout=20)
        raise AssertionError("too many redirects")


@dataclass
class Client:
    """A relying party with its provider's metadata, and the browser that it uses."""

    metadata: dict[str, Any]
    client_id: str
    callback: str
    after_logout: str
    browser: Browser
    auth_method: str = "client_secret_basic"
    last_request: dict[str, str] = field(default_factory=dict)

    def authorize(self, **changes: str | None) -> Page | str:
        """Where an authorization request leads the browser."""
        return self.browser.open(self.metadata["authorization_endpoint"], self.request(**changes))

    def request(self, **changes: str | None) -> dict[str, str]:
        parameters: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "response_type": "code",
            "scope": "openid",
            "state": secrets.token_urlsafe(8),
            "nonce": secrets.token_urlsafe(8),
        }
        self.last_request = {name: value for name, value in (parameters | changes).items() if value is not None}
        return self.last_request

    def answer(self, **changes: str | None) -> dict[str, str]:
        """The parameters of an authorization response, after a sign-in if the provider asks for one."""
        return self.answer_at(sign_in(self.browser, self.authorize(**changes)))

    def answer_at(self, address: Page | str, *, state: str | None = None) -> dict[str, str]:
        """`state`: what comes back, if it is not that of the request."""
        assert isinstance(address, str), f"a page instead of an answer: {address.status} {address.url}\n{address.text}"
        assert address.partition("?")[0] == self.callback
        answer = query_of(address)
        assert answer.get("state", "") == (state or self.last_request.get("state", ""))
        assert answer["iss"] == self.metadata["issuer"]
        return answer

    def log_in(self, **changes: str | None) -> dict[str, Any]:
        """The whole flow; the token response, its ID token validated as `claims`."""
        response = self.exchange(self.answer(**changes)["code"])
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        tokens["claims"] = self.validated(tokens["id_token"])
        return tokens

    def exchange(self, code: str) -> requests.Response:
        return self.token({"grant_type": "authorization_code", "code": code, "redirect_uri": self.callback})

    def token(self, body: dict[str, str]) -> requests.Response:
        basic = (self.client_id, CLIENT_SECRET) if self.auth_method == "client_secret_basic" else None
        if basic is None:
            body = body | {"client_id": self.client_id, "client_secret": CLIENT_SECRET}
        return requests.post(self.metadata["token_endpoint"], data=body, auth=basic, timeout=20)

    def userinfo(self, access_token: str, method: str = "GET") -> requests.Response:
        headers = {"Authorization": f"Bearer {access_token}"}
        return requests.request(method, self.metadata["userinfo_endpoint"], headers=headers, timeout=20)

    def validated(self, id_token: str) -> dict[str, Any]:
        """The claims of an ID token that this client may believe (OpenID Connect Core section 3.1.3.7)."""
        claims = self.verified(id_token)
        assert (claims["iss"], claims["aud"]) == (self.metadata["issuer"], self.client_id)
        assert claims.get("nonce") == self.last_request.get("nonce")
        assert claims["exp"] > claims["iat"]
        return claims

    def verified(self, token: str) -> dict[str, Any]:
        keys = KeySet.import_key_set(requests.get(self.metadata["jwks_uri"], timeout=20).json())
        return jwt.decode(token, keys, algorithms=["RS256", "PS256", "ES256"]).claims

    def log_out(self, **parameters: str) -> Page | str:
        return self.browser.open(self.metadata["end_session_endpoint"], parameters)

    def is_signed_in(self) -> bool:
        """Whether a silent request still gets a code."""
        answer = self.answer_at(self.authorize(prompt="none"))
        assert ("code" in answer) is not (answer.get("error") == "login_required")
        return "code" in answer


def sign_in(browser: Browser, page: Page | str) -> Page | str:
    """Fill in the login page and allow on the consent page, where they come."""
    if isinstance(page, Page) and "password" in page.fields:
        page = browser.submit(page, username=MARY, password=PASSWORD)
    if isinstance(page, Page) and page.buttons.get("answer") == "allow":
        page = browser.submit(page)
    return page


def query_of(address: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(address).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def _with(url: str, params: dict[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
