"""Where the answer to an authorization request may go."""

from __future__ import annotations

from dataclasses import dataclass

from idp.models import Application, TenantSettings
from idp.protocol import uris
from idp.protocol.errors import InvalidRequest, NotRegistered
from idp.protocol.params import Params
from idp.tenants import profile
from idp.tenants.configuration import Snapshot
from sessions_app.protocol import authorization, redirect_uris
from sessions_app.protocol.authorization import ResponseMode


@dataclass(frozen=True, slots=True)
class Recipient:
    """A validated place for answers: only such a place ever gets one."""

    application: Application
    tenant: TenantSettings
    redirect_uri: str
    mode: ResponseMode
    state: str
    silent: bool

    @property
    def origin(self) -> str:
        return uris.origin(self.redirect_uri)


def recipient_of(params: Params, snapshot: Snapshot) -> Recipient:
    """The application and its registered redirect URI. Until they are known, an error is a page, never a redirect."""
    doubled = {"client_id", "redirect_uri"} & set(params.duplicates)
    if doubled:
        raise InvalidRequest(f"The parameter {min(doubled)} was given more than once.")
    application = snapshot.application(params.require("client_id"))
    if application is None or not application.enabled:
        raise InvalidRequest("The application is not known here.", error="invalid_client")
    mode, state = authorization.channel(params)
    to = Recipient(
        application,
        snapshot.tenant,
        params.require("redirect_uri"),
        mode=mode,
        state=state,
        silent="none" in params.get("prompt", "").split(),
    )
    _refuse_unregistered(to)
    return to


def _refuse_unregistered(to: Recipient) -> None:
    usable = to.application.usable
    if not redirect_uris.is_registered(to.redirect_uri, usable.callbacks, any_port=to.application.may_use_any_port):
        raise NotRegistered(
            "The redirect_uri is not registered for this application.",
            client_id=to.application.client_id,
            parameter="redirect_uri",
            uri=to.redirect_uri,
        )
    is_plain = to.redirect_uri.lower().startswith("http:") and not to.application.is_native
    if is_plain and not profile.allows_plain_http(to.tenant):
        raise InvalidRequest("The redirect_uri is http: answers go over TLS only (profile ipsie).")
    if to.mode is ResponseMode.WEB_MESSAGE and to.origin not in usable.web_origins:
        raise InvalidRequest("The origin of redirect_uri is not among the application's web origins.")
