"""An entry of the tenant file's `clients`: Auth0's field names on the left, columns of Application on the right.

What URLs may be depends on the whole application, of which a file may say a part: `tenant` asks `idp.applications.rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from idp.applications import rules
from idp.keys import ALGORITHMS
from idp.models import Application, AppType, InitiatorMode, TokenEndpointAuthMethod
from idp.protocol import grant_types
from idp.protocol.initiators import AUTH0_DEFAULT, EVERY
from idp.tenant_reader import Reader, given

# What an application that the file makes hears of where the file is silent: what it would hear at Auth0.
WHERE_SILENT: dict[str, Any] = {
    "backchannel_logout_initiators_mode": InitiatorMode.CUSTOM.value,
    "backchannel_logout_initiators": list(AUTH0_DEFAULT),
}


@dataclass(slots=True)
class Client:
    path: str
    name: str
    client_id: str | None
    secret: str | None
    columns: dict[str, Any]


def client(reader: Reader) -> Client:
    app_type = reader.choice("app_type", AppType.values)
    method = reader.choice("token_endpoint_auth_method", TokenEndpointAuthMethod.values)
    if method is None and not reader.has("token_endpoint_auth_method") and app_type in (AppType.SPA, AppType.NATIVE):
        method = TokenEndpointAuthMethod.NONE.value
    callbacks = reader.texts("callbacks", check=_one_word)
    logout_urls = reader.texts("allowed_logout_urls", check=_one_word)
    origins = reader.texts("allowed_origins", check=_one_word)
    columns = given(
        app_type=app_type,
        token_endpoint_auth_method=method,
        grant_types=_grant_types(reader, app_type),
        redirect_uris=None if callbacks is None else " ".join(callbacks),
        post_logout_redirect_uris=None if logout_urls is None else " ".join(logout_urls),
        allow_logout_url_wildcards=reader.boolean("allow_logout_url_wildcards"),
        web_origins=reader.texts("web_origins", check=_one_word),
        allowed_origins=None if origins is None else " ".join(origins),
        logo_uri=reader.text("logo_uri"),
        is_first_party=reader.boolean("is_first_party"),
        enabled=reader.boolean("enabled"),
        require_pkce=reader.boolean("require_pkce"),
        jwks=reader.mapping("jwks"),
        jwks_uri=reader.text("jwks_uri"),
        access_token_lifetime=reader.integer("access_token_lifetime", least=1),
        access_tokens_die_with_session=reader.boolean("access_tokens_die_with_session"),
        session_refresh_tokens=reader.boolean("session_refresh_tokens"),
        global_token_revocation_uri=reader.text("global_token_revocation_uri"),
        outbound_hosts=reader.texts("outbound_hosts", check=_one_word),
    )
    columns |= _id_token(reader) | _oidc_logout(reader) | _refresh_token(reader)
    entry = Client(
        path=reader.path,
        name=reader.text("name", required=True, longest=255) or "",
        client_id=reader.text("client_id", check=_client_id, longest=100),
        secret=reader.secret("client_secret"),
        columns=columns,
    )
    if entry.secret and method == TokenEndpointAuthMethod.NONE:
        reader.problem("client_secret", "a public client (token_endpoint_auth_method none) has no secret")
    if entry.secret and entry.secret.startswith("client_sha256$"):
        reader.problem("client_secret", "looks like a stored hash: give the secret itself")
    reader.done()
    return entry


URL_KEYS = {  # column -> where the file says it; several, if it ends with []
    "redirect_uris": "callbacks[]",
    "post_logout_redirect_uris": "allowed_logout_urls[]",
    "web_origins": "web_origins[]",
    "allowed_origins": "allowed_origins[]",
    "backchannel_logout_uri": "oidc_logout.backchannel_logout_urls[]",
    "frontchannel_logout_uri": "oidc_logout.frontchannel_logout_uri",
    "global_token_revocation_uri": "global_token_revocation_uri",
    "outbound_hosts": "outbound_hosts[]",
    "jwks_uri": "jwks_uri",
    "logo_uri": "logo_uri",
}


def _place(column: str, index: int) -> str:
    """Where in its entry the file says the value of a URL column."""
    return URL_KEYS[column].replace("[]", f"[{index}]")


def url_problems(client: Client, row: Application | None) -> list[str]:
    """What the rules have against the URLs that the file gives, with the application as it will be."""
    will_be = Application() if row is None else Application.objects.get(pk=row.pk)
    for column, value in client.columns.items():
        setattr(will_be, column, value)
    return [
        f"{client.path}.{_place(problem.field, problem.index)}: {problem.reason}"
        for problem in rules.problems(will_be)
        if _is_given(problem.field, client)
    ]


def _is_given(column: str, client: Client) -> bool:
    """A front-channel URL hangs on the callbacks: whoever gives other callbacks says something about it too."""
    return column in client.columns or (column == "frontchannel_logout_uri" and "redirect_uris" in client.columns)


def warnings(client: Client, row: Application) -> Iterator[str]:
    """What the row keeps because the file is silent, and what that means."""
    for problem in rules.problems(row):
        yield f"{row.name}: {problem.value} of {_place(problem.field, problem.index)} is kept but not used: {problem.reason}"
    silent = "backchannel_logout_initiators_mode" not in client.columns
    if silent and row.backchannel_logout_uri and (missed := row.deaf_to):
        yield (
            f"{row.name} is not told of {', '.join(missed)}, as at Auth0: oidc_logout.backchannel_logout_initiators is not "
            "given. {mode: all} tells it of everything."
        )


def _one_word(value: str) -> str | None:
    """Several are stored with spaces between them."""
    if not value:
        return "it is empty"
    return "it holds a space, which URLs do not have" if value.split() != [value] else None


def _client_id(value: str) -> str | None:
    return None if value.isascii() and value.isprintable() and " " not in value else "must be printable ASCII, no space"


def _grant_types(reader: Reader, app_type: str | None) -> list[str] | None:
    grants = reader.texts("grant_types", choices=grant_types.ALL)
    if grants is None and not reader.has("grant_types") and app_type == AppType.NON_INTERACTIVE:
        return ["client_credentials"]
    return grants


def _id_token(reader: Reader) -> dict[str, Any]:
    inner = reader.inner("jwt_configuration")
    if inner is None:
        return {}
    columns = given(
        id_token_signed_response_alg=inner.choice("alg", ALGORITHMS),
        id_token_lifetime=inner.integer("lifetime_in_seconds", least=1),
    )
    inner.done()
    return columns


def _oidc_logout(reader: Reader) -> dict[str, Any]:
    inner = reader.inner("oidc_logout")
    if inner is None:
        return {}
    urls = inner.texts("backchannel_logout_urls", check=_one_word)
    if urls and len(urls) > 1:
        inner.problem("backchannel_logout_urls", "one URL is supported")
    columns = given(
        backchannel_logout_uri=None if urls is None else "".join(urls[:1]),
        backchannel_logout_session_required=inner.boolean("backchannel_logout_session_required"),
        backchannel_logout_token_typ=inner.choice("backchannel_logout_token_typ", ("logout+jwt", "JWT")),
        backchannel_logout_include_sub=inner.boolean("backchannel_logout_include_sub"),
        frontchannel_logout_uri=inner.text("frontchannel_logout_uri"),
        frontchannel_logout_session_required=inner.boolean("frontchannel_logout_session_required"),
    )
    if initiators := inner.inner("backchannel_logout_initiators"):
        mode = initiators.choice("mode", InitiatorMode.values)
        selected = initiators.texts("selected_initiators", choices=EVERY)
        if mode is None and selected is not None:
            mode = InitiatorMode.CUSTOM.value
        columns |= given(backchannel_logout_initiators_mode=mode, backchannel_logout_initiators=selected)
        initiators.done()
    inner.done()
    return columns


def _refresh_token(reader: Reader) -> dict[str, Any]:
    inner = reader.inner("refresh_token")
    if inner is None:
        return {}
    rotation = inner.choice("rotation_type", ("rotating", "non-rotating"))
    expiration = inner.choice("expiration_type", ("expiring", "non-expiring"))
    columns = given(
        refresh_token_rotating=rotation and rotation == "rotating",
        refresh_token_leeway=inner.integer("leeway", most=600),
        refresh_token_lifetime=inner.integer("token_lifetime", least=1),
        refresh_token_idle_lifetime=inner.integer("idle_token_lifetime", least=1),
    )
    if inner.boolean("infinite_token_lifetime") or expiration == "non-expiring":
        columns["refresh_token_lifetime"] = None
    if inner.boolean("infinite_idle_token_lifetime") or expiration == "non-expiring":
        columns["refresh_token_idle_lifetime"] = None
    inner.done()
    return columns
