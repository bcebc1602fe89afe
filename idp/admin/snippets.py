"""What a developer pastes into their code to sign people in: of the application's kind, with its real ids.

The secret is in none of them: it is read from the environment, so that a snippet may be shown again and kept in a repository.
Every value is written as a literal of its language, whatever is in it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

from idp.applications import kinds
from idp.applications.kinds import ApplicationKind
from idp.models import Application
from idp.protocol import uris
from idp.protocol.grant_types import DEVICE_CODE

SECRET = "CURFEW_CLIENT_SECRET"


@dataclass(frozen=True, slots=True)
class Snippet:
    title: str
    code: str


def snippets(application: Application) -> list[Snippet]:
    """None for a web application or machine without a secret: how it proves who it is depends on its library. None for SAML: it is
    configured, not written."""
    kind = kinds.kind_of(application)
    if kind is kinds.SAML or (kind in (kinds.WEB, kinds.MACHINE) and not application.has_secret):
        return []
    return OF_KIND[kind](application)


def _web(application: Application) -> list[Snippet]:
    callback, home = _callback(application), _home(application)
    django = f"""\
# pip install authlib requests
import os
from urllib.parse import urlencode

from authlib.integrations.django_client import OAuth
from django.shortcuts import redirect

ISSUER = {_text(settings.ISSUER)}
oauth = OAuth()
oauth.register(
    "curfew",
    server_metadata_url=f"{{ISSUER}}.well-known/openid-configuration",
    client_id={_text(application.client_id)},
    client_secret=os.environ["{SECRET}"],
    client_kwargs={{"scope": "openid profile email", "code_challenge_method": "S256"}},
)


def login(request):
    return oauth.curfew.authorize_redirect(request, {_text(callback)})


def callback(request):
    token = oauth.curfew.authorize_access_token(request)
    request.session["user"], request.session["id_token"] = token["userinfo"], token["id_token"]
    return redirect("/")


def logout(request):
    query = {{"id_token_hint": request.session.get("id_token", ""), "post_logout_redirect_uri": {_text(home)}}}
    request.session.flush()
    return redirect(f"{{ISSUER}}oidc/logout?{{urlencode(query)}}")
"""
    express = f"""\
// npm install express express-openid-connect
const express = require("express");
const {{ auth }} = require("express-openid-connect");

const app = express();
app.use(auth({{
  issuerBaseURL: {_text(settings.ISSUER)},
  baseURL: {_text(uris.origin(callback))},
  clientID: {_text(application.client_id)},
  clientSecret: process.env.{SECRET},
  secret: process.env.COOKIE_SECRET, // of your own: at least 32 random characters
  authRequired: false,
  idpLogout: true,
  authorizationParams: {{ response_type: "code", scope: "openid profile email" }},
  routes: {{ callback: {_text(urlsplit(callback).path or "/")}, postLogoutRedirect: {_text(home)} }},
}}));
// GET /login and GET /logout are there now; request.oidc.user is who is signed in.
app.listen(3000);
"""
    return [Snippet("Django, with Authlib", django), Snippet("Express, with express-openid-connect", express)]


def _spa(application: Application) -> list[Snippet]:
    page = f"""\
// npm install @auth0/auth0-spa-js
import {{ createAuth0Client }} from "@auth0/auth0-spa-js";

const client = await createAuth0Client({{
  domain: {_text(settings.ISSUER_ORIGIN)},
  clientId: {_text(application.client_id)},
  authorizationParams: {{ redirect_uri: {_text(_callback(application))}, scope: "openid profile email" }},
}});

if (new URLSearchParams(location.search).has("code")) {{
  await client.handleRedirectCallback();
  history.replaceState(null, "", location.pathname);
}}
export const user = await client.getUser(); // undefined: nobody is signed in
export const login = () => client.loginWithRedirect();
export const logout = () => client.logout({{ logoutParams: {{ returnTo: {_text(_home(application))} }} }});
"""
    return [Snippet("JavaScript, with @auth0/auth0-spa-js", page)]


def _native(application: Application) -> list[Snippet]:
    callback = _callback(application)
    kotlin = f"""\
// implementation("net.openid:appauth:0.11.1")
AuthorizationServiceConfiguration.fetchFromIssuer(Uri.parse({_kotlin(settings.ISSUER)})) {{ configuration, error ->
    val request = AuthorizationRequest.Builder(
        configuration ?: throw error!!,
        {_kotlin(application.client_id)},
        ResponseTypeValues.CODE,
        Uri.parse({_kotlin(callback)}),
    ).setScope("openid profile email offline_access").build()
    startActivityForResult(AuthorizationService(this).getAuthorizationRequestIntent(request), SIGN_IN)
}}
"""
    swift = f"""\
// https://github.com/openid/AppAuth-iOS
OIDAuthorizationService.discoverConfiguration(forIssuer: URL(string: {_text(settings.ISSUER)})!) {{ configuration, error in
    guard let configuration else {{ return print(error!) }}
    let request = OIDAuthorizationRequest(
        configuration: configuration,
        clientId: {_text(application.client_id)},
        scopes: [OIDScopeOpenID, OIDScopeProfile, OIDScopeEmail, "offline_access"],
        redirectURL: URL(string: {_text(callback)})!,
        responseType: OIDResponseTypeCode,
        additionalParameters: nil)
    self.flow = OIDAuthState.authState(byPresenting: request, presenting: self) {{ state, error in
        self.state = state
    }}
}}
"""
    return [Snippet("Kotlin, with AppAuth", kotlin), Snippet("Swift, with AppAuth", swift)]


def _machine(application: Application) -> list[Snippet]:
    """For the first of the APIs that it may call."""
    names = application.client_grants.order_by("pk").values_list("resource_server__identifier", flat=True)
    audience = names.first()
    api = f" \\\n  --data-urlencode {_shell(f'audience={audience}')}" if audience else ""
    token = f"""\
curl -sS {_shell(settings.ISSUER + "oauth/token")} \\
  -d grant_type=client_credentials \\
  --data-urlencode {_shell(f"client_id={application.client_id}")} \\
  --data-urlencode "client_secret=${SECRET}"{api}
"""
    return [Snippet("Shell, with curl", token)]


def _device(application: Application) -> list[Snippet]:
    client = f"--data-urlencode {_shell(f'client_id={application.client_id}')}"
    code = f"""\
curl -sS {_shell(settings.ISSUER + "oauth/device/code")} \\
  {client} \\
  -d 'scope=openid profile email'
"""
    token = f"""\
curl -sS {_shell(settings.ISSUER + "oauth/token")} \\
  {client} \\
  -d {_shell(f"grant_type={DEVICE_CODE}")} \\
  --data-urlencode "device_code=$DEVICE_CODE"
"""
    return [
        Snippet("First: a code. Show the person verification_uri and user_code", code),
        Snippet("Then: ask every interval seconds, until the answer is no authorization_pending", token),
    ]


OF_KIND: dict[ApplicationKind, Callable[[Application], list[Snippet]]] = {
    kinds.WEB: _web,
    kinds.SPA: _spa,
    kinds.NATIVE: _native,
    kinds.MACHINE: _machine,
    kinds.DEVICE: _device,
}


def _callback(application: Application) -> str:
    return next(iter(application.callbacks), "https://app.example.com/callback")


def _home(application: Application) -> str:
    """Where people go after they signed out."""
    return next(iter(application.allowed_logout_urls), uris.origin(_callback(application)))


def _text(value: str) -> str:
    """A literal of Python, JavaScript and Swift alike: what is not ASCII is nowhere in these values."""
    return json.dumps(value)


def _kotlin(value: str) -> str:
    return json.dumps(value).replace("$", "\\$")


def _shell(value: str) -> str:
    return shlex.quote(value)
