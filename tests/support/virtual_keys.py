"""An authenticator in Chromium: WebAuthn's virtual one (WebDriver extension, section 11), by the DevTools protocol."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import CDPSession, Page

PLATFORM = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class VirtualKey:
    """The fingerprint reader of one page's browser."""

    def __init__(self, page: Page, **changes: Any) -> None:
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable", {"enableUI": False})
        made = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {**PLATFORM, **changes}})
        self.id: str = made["authenticatorId"]

    def _send(self, what: str, **given: Any) -> Any:
        return self._cdp.send(f"WebAuthn.{what}", {"authenticatorId": self.id, **given})

    @property
    def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._send("getCredentials")["credentials"]
        return found

    def verifies(self, verified: bool) -> None:
        """Whether the finger is the right one from now on."""
        self._send("setUserVerified", isUserVerified=verified)

    def answers(self, enabled: bool) -> None:
        """Whether anybody touches it from now on."""
        self._send("setAutomaticPresenceSimulation", enabled=enabled)

    def put(self, credential: dict[str, Any]) -> None:
        self._send("addCredential", credential=credential)
