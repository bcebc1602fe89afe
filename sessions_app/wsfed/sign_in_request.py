"""`wsignin1.0` (WS-Federation 1.2 section 13.2.1): what an application asks by an address, and where the answer goes.

Nothing of it is signed. The answer leads only to a callback that is registered, whoever asked.
"""

from __future__ import annotations

import re

from idp.models import Application
from idp.protocol.errors import InvalidRequest, NotRegistered, UnmetAuthenticationRequirements
from idp.protocol.params import Params
from idp.saml.application.settings import consumers
from idp.saml.application.wsfed import WsFedSettings
from sessions_app.saml.authn_request import KNOWN_CLASSES, MULTI, SINGLE, AskedContext
from sessions_app.saml.kept import WSFED, SamlRequest
from sessions_app.wsfed.token import PASSWORD_METHOD, UNSPECIFIED_METHOD

LONGEST_CONTEXT = 4096  # characters of wctx: ASP.NET keeps a whole protected state in it
MINUTES = re.compile(r"[0-9]{1,6}")
# Parameters that would change the answer and that we cannot honour: silence would be a lie.
REFUSED = ("wreq", "wreqptr", "wresult", "wresultptr", "wattr", "wattrptr", "wpseudo", "wpseudoptr")
METHODS = {
    PASSWORD_METHOD: SINGLE,
    UNSPECIFIED_METHOD: SINGLE,
    "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password": SINGLE,
    **KNOWN_CLASSES,
}


def received(application: Application, settings: WsFedSettings, params: Params) -> SamlRequest:
    """Raises InvalidRequest, which is a page: nobody is led anywhere."""
    for name in REFUSED:
        if params.get(name):
            raise InvalidRequest(f"{name} is not understood here: what tokens say is configured.")
    if params.require("wtrealm") != settings.realm:
        raise InvalidRequest(f"wtrealm is not the realm of {application.name}.")
    context = params.get("wctx", "")
    if len(context) > LONGEST_CONTEXT or "\0" in context:
        raise InvalidRequest(f"wctx is longer than {LONGEST_CONTEXT} characters, or not text.")
    max_age = _max_age(params.get("wfresh", ""))
    return SamlRequest(
        client_id=application.client_id,
        id="",
        acs=_reply(application, params.get("wreply", "")),
        relay_state=context,
        force=max_age == 0,
        max_age=max_age or None,
        context=_context(params.get("wauth", "")),
        protocol=WSFED,
    )


def _reply(application: Application, wreply: str) -> str:
    registered = consumers(application)
    if not registered:
        raise InvalidRequest(f"{application.name} has no callback that may be used.")
    if wreply and wreply not in registered:
        raise NotRegistered(
            "The address in wreply is not registered for this application.",
            client_id=application.client_id,
            parameter="wreply",
            uri=wreply,
        )
    return wreply or registered[0]


def _max_age(wfresh: str) -> int | None:
    """In seconds; wfresh counts minutes, and 0 asks for a new proof whatever there is (section 13.2.1)."""
    if not wfresh:
        return None
    if not MINUTES.fullmatch(wfresh):
        raise InvalidRequest("wfresh is not a number of minutes.")
    return int(wfresh) * 60


def _context(wauth: str) -> AskedContext:
    if not wauth:
        return AskedContext()
    if wauth not in METHODS:
        raise UnmetAuthenticationRequirements("There is no way here to what wauth asks for.")
    # A password, or anything: who signs in has proved that.
    return AskedContext((wauth,)) if METHODS[wauth] == MULTI else AskedContext()
