"""What of a stored application may be used, where its row holds what the rules do not allow any more."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from idp.applications import claims, columns, rules
from idp.applications.claims import ClaimMapping
from idp.protocol import assurance
from idp.saml.application import settings as saml
from idp.saml.application import wsfed
from idp.saml.application.settings import SamlSettings
from idp.saml.application.wsfed import WsFedSettings

if TYPE_CHECKING:
    from idp.models import Application


class Usable:
    """The stored values that may be used, each field judged when it is first asked for.

    An application of a configuration snapshot keeps it, so that this costs once per version of the configuration.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    @cached_property
    def callbacks(self) -> tuple[str, ...]:
        return self._all("redirect_uris")

    @cached_property
    def logout_urls(self) -> tuple[str, ...]:
        return self._all("post_logout_redirect_uris")

    @cached_property
    def web_origins(self) -> tuple[str, ...]:
        return self._all("web_origins")

    @cached_property
    def cors_origins(self) -> frozenset[str]:
        """Origins whose scripts may call the token endpoints of this application."""
        return frozenset((*self.web_origins, *self._all("allowed_origins")))

    @cached_property
    def frontchannel_logout_uri(self) -> str:
        return self._one("frontchannel_logout_uri")

    @cached_property
    def jwks_uri(self) -> str:
        return self._one("jwks_uri")

    @cached_property
    def logo_uri(self) -> str:
        return self._one("logo_uri")

    @cached_property
    def policy_uri(self) -> str:
        return self._one("policy_uri")

    @cached_property
    def tos_uri(self) -> str:
        return self._one("tos_uri")

    @cached_property
    def https_logo(self) -> str:
        """For pages that every application of a person is on: over http it would be mixed content."""
        return self.logo_uri if urlsplit(self.logo_uri).scheme == "https" else ""

    @cached_property
    def refresh_token_leeway(self) -> int:
        """Seconds. A stored one that is too long would hide the reuse of stolen tokens."""
        return columns.within(self._application, "refresh_token_leeway")

    @cached_property
    def default_max_age(self) -> int | None:
        """Seconds since the last proof, where a request says none."""
        return self._limit("default_max_age")

    @cached_property
    def default_acr_values(self) -> tuple[str, ...]:
        """The classes that a request asks for which names none."""
        names = self._application.default_acr_values
        return assurance.known(names) if isinstance(names, list) else ()

    @cached_property
    def id_token_lifetime(self) -> int:
        """Seconds, as the next ones. A stored one that no clock reaches would be an error of every sign-in."""
        return columns.within(self._application, "id_token_lifetime")

    @cached_property
    def access_token_lifetime(self) -> int:
        return columns.within(self._application, "access_token_lifetime")

    @cached_property
    def refresh_token_lifetime(self) -> int | None:
        return self._limit("refresh_token_lifetime")

    @cached_property
    def refresh_token_idle_lifetime(self) -> int | None:
        return self._limit("refresh_token_idle_lifetime")

    @cached_property
    def claim_mappings(self) -> tuple[ClaimMapping, ...]:
        """Compiled once."""
        return claims.usable(self._application)

    @cached_property
    def saml(self) -> SamlSettings:
        """False if it does not speak SAML, or its settings are not what the rules allow."""
        return saml.read(self._application)

    @cached_property
    def wsfed(self) -> WsFedSettings:
        """The same of WS-Federation."""
        return wsfed.read(self._application)

    def _limit(self, field: str) -> int | None:
        """None: no limit."""
        return None if getattr(self._application, field) is None else columns.within(self._application, field)

    def _all(self, field: str) -> tuple[str, ...]:
        application = self._application
        return tuple(
            value for value in rules.values(application, field) if not rules.problem(application, field, value)
        )

    def _one(self, field: str) -> str:
        return next(iter(self._all(field)), "")
