"""What people call the applications that there are, and what an application of such a kind begins with."""

from __future__ import annotations

from dataclasses import dataclass

from idp.models import Application, AppType, TokenEndpointAuthMethod
from idp.protocol.grant_types import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, DEVICE_CODE, REFRESH_TOKEN


@dataclass(frozen=True, slots=True)
class ApplicationKind:
    """`fields`: the columns without which such an application does not work, or would not hear of sign-outs."""

    name: str
    title: str
    text: str
    app_type: AppType
    method: TokenEndpointAuthMethod
    grants: tuple[str, ...]
    fields: tuple[str, ...]
    calls_from_pages: bool = False

    def begin(self) -> Application:
        return Application(
            app_type=self.app_type,
            token_endpoint_auth_method=self.method,
            grant_types=list(self.grants),
            require_pkce=self.method == TokenEndpointAuthMethod.NONE and AUTHORIZATION_CODE in self.grants,
        )


WEB = ApplicationKind(
    "web",
    "Web application",
    "Runs on a server that can keep a secret: Django, Express, Rails, Spring, ASP.NET, or something bought.",
    AppType.REGULAR_WEB,
    TokenEndpointAuthMethod.POST,
    (AUTHORIZATION_CODE, REFRESH_TOKEN),
    ("redirect_uris", "post_logout_redirect_uris", "backchannel_logout_uri"),
)
SPA = ApplicationKind(
    "spa",
    "Single-page application",
    "Runs in the browser, without a server of its own: React, Vue, Angular. It has no secret.",
    AppType.SPA,
    TokenEndpointAuthMethod.NONE,
    (AUTHORIZATION_CODE, REFRESH_TOKEN),
    ("redirect_uris", "post_logout_redirect_uris"),
    calls_from_pages=True,
)
NATIVE = ApplicationKind(
    "native",
    "Native application",
    "Installed on a telephone or a computer. It signs people in by the system's browser and has no secret.",
    AppType.NATIVE,
    TokenEndpointAuthMethod.NONE,
    (AUTHORIZATION_CODE, REFRESH_TOKEN),
    ("redirect_uris",),
)
MACHINE = ApplicationKind(
    "machine",
    "Machine to machine",
    "A service or a scheduled job that calls an API for itself. Nobody signs in.",
    AppType.NON_INTERACTIVE,
    TokenEndpointAuthMethod.POST,
    (CLIENT_CREDENTIALS,),
    (),
)
DEVICE = ApplicationKind(
    "device",
    "Device without a browser",
    "A television, a printer, a command line: it shows a code, and people type it on their telephone.",
    AppType.NATIVE,
    TokenEndpointAuthMethod.NONE,
    (DEVICE_CODE, REFRESH_TOKEN),
    (),
)
SAML = ApplicationKind(
    "saml",
    "SAML application",
    "Speaks SAML 2.0: Slack, Salesforce, Zendesk, Nextcloud, Jenkins, or whatever an Apache or IIS module guards.",
    AppType.REGULAR_WEB,
    TokenEndpointAuthMethod.POST,
    (),
    ("redirect_uris",),
)
KINDS = {kind.name: kind for kind in (WEB, SAML, SPA, NATIVE, MACHINE, DEVICE)}


def kind_of(application: Application) -> ApplicationKind:
    """What an application is by its settings, however it was made."""
    grants = application.grant_types
    if application.saml or application.wsfed:
        return SAML
    if AUTHORIZATION_CODE not in grants:
        return DEVICE if DEVICE_CODE in grants else MACHINE
    return {AppType.SPA: SPA, AppType.NATIVE: NATIVE}.get(AppType(application.app_type), WEB)
