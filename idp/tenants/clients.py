"""An entry of the tenant file's `clients`: Auth0's field names on the left, columns of Application on the right.

What an application may be depends on the whole of it, of which a file may say a part: `problems()` asks `idp.applications.rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from idp.applications import rules
from idp.applications.columns import LONGEST_NAME, NUMBERS, secret_problem
from idp.applications.problem import Problem
from idp.models import AccessMode, Application, AppType, InitiatorMode, TokenEndpointAuthMethod
from idp.protocol import grant_types
from idp.protocol.clients import ENCRYPTION_ALGORITHMS, SIGNING_ALGORITHMS, SUBJECT_TYPES
from idp.protocol.initiators import AUTH0_DEFAULT, EVERY
from idp.saml.application.addons import ADDONS
from idp.tenants.reader import Reader, given

_IMPLICIT = "implicit"  # every application has it at Auth0 unless somebody takes it away; here none does
# What an application that the file makes hears of where the file is silent: what it would hear at Auth0.
WHERE_SILENT: dict[str, Any] = {
    "backchannel_logout_initiators_mode": InitiatorMode.CUSTOM.value,
    "backchannel_logout_initiators": list(AUTH0_DEFAULT),
}

MAY_BE_NULL = ("default_max_age", "session_refresh_tokens", "jwks")  # a null of the file takes these away


@dataclass(slots=True)
class ClientEntry:
    path: str
    name: str
    client_id: str | None
    secret: str | None
    columns: dict[str, Any]


def client(reader: Reader) -> ClientEntry:
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
        policy_uri=reader.text("policy_uri"),
        tos_uri=reader.text("tos_uri"),
        default_max_age=_number(reader, "default_max_age", "default_max_age"),
        default_acr_values=reader.texts("default_acr_values"),
        session_expiry=reader.boolean("session_expiry"),
        require_mfa=reader.boolean("require_mfa"),
        userinfo_signed_response_alg=reader.choice("userinfo_signed_response_alg", ("", *SIGNING_ALGORITHMS)),
        scope_claims_in_userinfo_only=reader.boolean("scope_claims_in_userinfo_only"),
        is_first_party=reader.boolean("is_first_party"),
        enabled=reader.boolean("enabled"),
        require_pkce=reader.boolean("require_pkce"),
        require_pushed_authorization_requests=reader.boolean("require_pushed_authorization_requests"),
        dpop_bound_access_tokens=reader.boolean("dpop_bound_access_tokens"),
        strict_client_assertions=reader.boolean("strict_client_assertions"),
        subject_type=reader.choice("subject_type", SUBJECT_TYPES),
        sector_identifier_uri=reader.text("sector_identifier_uri"),
        id_token_encrypted_response_alg=reader.choice("id_token_encrypted_response_alg", ("", *ENCRYPTION_ALGORITHMS)),
        jwks=reader.mapping("jwks"),
        jwks_uri=reader.text("jwks_uri"),
        access_token_lifetime=_number(reader, "access_token_lifetime", "access_token_lifetime"),
        access_tokens_die_with_session=reader.boolean("access_tokens_die_with_session"),
        session_refresh_tokens=reader.boolean("session_refresh_tokens"),
        global_token_revocation_uri=reader.text("global_token_revocation_uri"),
        reauthentication_uri=reader.text("reauthentication_uri"),
        command_endpoint=reader.text("command_endpoint"),
        outbound_hosts=reader.texts("outbound_hosts", check=_one_word),
        claim_mappings=reader.anything("claims"),
    )
    columns |= _addons(reader) | _id_token(reader) | _mobile(reader)
    columns |= _oidc_logout(reader) | _refresh_token(reader) | _access(reader)
    columns |= {column: None for column in MAY_BE_NULL if reader.has(column) and reader.values[column] is None}
    entry = ClientEntry(
        path=reader.path,
        name=reader.text("name", required=True, longest=LONGEST_NAME) or "",
        client_id=reader.text("client_id"),
        secret=reader.secret("client_secret"),
        columns=columns,
    )
    reader.done()
    return entry


KEYS = {  # column -> where the file says it; several, if it ends with []
    "name": "name",
    "client_id": "client_id",
    "app_type": "app_type",
    "token_endpoint_auth_method": "token_endpoint_auth_method",
    "grant_types": "grant_types[]",
    "redirect_uris": "callbacks[]",
    "post_logout_redirect_uris": "allowed_logout_urls[]",
    "web_origins": "web_origins[]",
    "allowed_origins": "allowed_origins[]",
    "backchannel_logout_uri": "oidc_logout.backchannel_logout_urls[]",
    "backchannel_logout_token_typ": "oidc_logout.backchannel_logout_token_typ",
    "backchannel_logout_initiators_mode": "oidc_logout.backchannel_logout_initiators.mode",
    "backchannel_logout_initiators": "oidc_logout.backchannel_logout_initiators.selected_initiators[]",
    "frontchannel_logout_uri": "oidc_logout.frontchannel_logout_uri",
    "global_token_revocation_uri": "global_token_revocation_uri",
    "reauthentication_uri": "reauthentication_uri",
    "command_endpoint": "command_endpoint",
    "outbound_hosts": "outbound_hosts[]",
    "jwks": "jwks",
    "jwks_uri": "jwks_uri",
    "logo_uri": "logo_uri",
    "policy_uri": "policy_uri",
    "tos_uri": "tos_uri",
    "default_max_age": "default_max_age",
    "default_acr_values": "default_acr_values[]",
    "userinfo_signed_response_alg": "userinfo_signed_response_alg",
    "android_package_name": "mobile.android.app_package_name",
    "android_fingerprints": "mobile.android.sha256_cert_fingerprints[]",
    "ios_team_id": "mobile.ios.team_id",
    "ios_bundle_id": "mobile.ios.app_bundle_identifier",
    "id_token_signed_response_alg": "jwt_configuration.alg",
    "id_token_encrypted_response_alg": "id_token_encrypted_response_alg",
    "subject_type": "subject_type",
    "sector_identifier_uri": "sector_identifier_uri",
    "id_token_lifetime": "jwt_configuration.lifetime_in_seconds",
    "access_token_lifetime": "access_token_lifetime",
    "access_mode": "access.mode",
    "access_groups": "access.groups[]",
    "claim_mappings": "claims[]",
    "refresh_token_leeway": "refresh_token.leeway",
    "refresh_token_lifetime": "refresh_token.token_lifetime",
    "saml": "addons.samlp",
    "wsfed": "addons.wsfed",
    "refresh_token_idle_lifetime": "refresh_token.idle_token_lifetime",
}


def _place(problem: Problem) -> str:
    """Where in its entry the file says what the problem is about."""
    return KEYS[problem.field].replace("[]", "" if problem.index is None else f"[{problem.index}]")


def columns_of(client: ClientEntry) -> dict[str, Any]:
    """What the file says about the application, by column."""
    return client.columns | given(name=client.name, client_id=client.client_id)


def problems(client: ClientEntry, row: Application | None) -> list[str]:
    """What the rules have against what the file gives, with the application as it will be. One that the file makes is all its."""
    will_be = Application() if row is None else Application.objects.get(pk=row.pk)
    said = columns_of(client)
    for column, value in said.items():
        setattr(will_be, column, value)
    found = [
        f"{client.path}.{_place(problem)}: {problem.reason}"
        for problem in rules.problems(will_be)
        if row is None or said.keys() & {problem.field, *problem.depends}
    ]
    if client.secret and (reason := secret_problem(will_be, client.secret)):
        found.append(f"{client.path}.client_secret: {reason}")
    return found


def warnings(client: ClientEntry, row: Application) -> Iterator[str]:
    """What the row keeps because the file is silent, and what that means."""
    for problem in rules.problems(row):
        yield f"{row.name}: {_what_is_kept(problem)}: {problem.reason}"
    silent = "backchannel_logout_initiators_mode" not in client.columns
    if silent and row.backchannel_logout_uri and (missed := row.deaf_to):
        yield (
            f"{row.name} is not told of {', '.join(missed)}, as at Auth0: oidc_logout.backchannel_logout_initiators is not "
            "given. {mode: all} tells it of everything."
        )


def _what_is_kept(problem: Problem) -> str:
    if problem.instead:
        return f"{problem.value} of {_place(problem)} is kept, but {problem.instead} is used"
    what = f"{problem.value} of {_place(problem)}" if problem.value else _place(problem)
    return f"{what} is kept" if problem.is_used else f"{what} is kept but not used"


def _number(reader: Reader, key: str, column: str) -> int | None:
    bounds = NUMBERS[column]
    return reader.integer(key, least=bounds.least, most=bounds.most)


def _one_word(value: str) -> str | None:
    """Several are stored with spaces between them."""
    if not value:
        return "it is empty"
    return "it holds a space, which URLs do not have" if value.split() != [value] else None


def _grant_types(reader: Reader, app_type: str | None) -> list[str] | None:
    grants = reader.texts("grant_types", choices=(*grant_types.ALL, _IMPLICIT))
    if grants and _IMPLICIT in grants:
        reader.ignore(f"grant_types {_IMPLICIT}")
        grants.remove(_IMPLICIT)
    if grants is None and not reader.has("grant_types") and app_type == AppType.NON_INTERACTIVE:
        return ["client_credentials"]
    return grants


def _id_token(reader: Reader) -> dict[str, Any]:
    inner = reader.inner("jwt_configuration")
    if inner is None:
        return {}
    columns = given(
        id_token_signed_response_alg=inner.choice("alg", SIGNING_ALGORITHMS),
        id_token_lifetime=_number(inner, "lifetime_in_seconds", "id_token_lifetime"),
    )
    inner.done()
    return columns


def _mobile(reader: Reader) -> dict[str, Any]:
    inner = reader.inner("mobile")
    if inner is None:
        return {}
    columns: dict[str, Any] = {}
    if android := inner.inner("android"):
        package = android.text("app_package_name", longest=255)
        prints = android.texts("sha256_cert_fingerprints", check=_one_word)
        columns |= given(
            android_package_name=package, android_fingerprints=None if prints is None else " ".join(prints)
        )
        android.done()
    if ios := inner.inner("ios"):
        bundle = ios.text("app_bundle_identifier", longest=255)
        columns |= given(ios_team_id=ios.text("team_id", longest=10), ios_bundle_id=bundle)
        ios.done()
    inner.done()
    return columns


def _addons(reader: Reader) -> dict[str, Any]:
    """Without a value, as Auth0 answers for an application that has none, they are taken away."""
    inner = reader.inner("addons")
    if inner is None:
        return {column: {} for column in ADDONS} if reader.has("addons") else {}
    found = {column: inner.anything(name) or {} for column, name in ADDONS.items()}
    inner.done()
    return {column: value for column, value in found.items() if inner.has(ADDONS[column]) or not inner.values}


def _access(reader: Reader) -> dict[str, Any]:
    """Who may use it. Groups without a mode mean the mode."""
    inner = reader.inner("access")
    if inner is None:
        return {}
    groups = inner.anything("groups")
    mode = inner.choice("mode", AccessMode.values)
    if mode is None and groups is not None and not inner.has("mode"):
        mode = AccessMode.GROUPS.value
    signs_out = inner.boolean("loss_signs_out")
    inner.done()
    return given(access_mode=mode, access_groups=groups, access_loss_signs_out=signs_out)


def _backchannel(reader: Reader | None) -> dict[str, Any]:
    urls = reader.texts("backchannel_logout_urls", check=_one_word) if reader else None
    if reader and urls and len(urls) > 1:
        reader.problem("backchannel_logout_urls", "one URL is supported")
    return {} if urls is None else {"backchannel_logout_uri": "".join(urls[:1])}


def _oidc_logout(reader: Reader) -> dict[str, Any]:
    older, inner = reader.inner("oidc_backchannel_logout"), reader.inner("oidc_logout")  # Auth0's name for it before
    columns = _backchannel(older)
    if older:
        older.done()
    if inner is None:
        return columns
    columns |= _backchannel(inner) | given(
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
        refresh_token_leeway=_number(inner, "leeway", "refresh_token_leeway"),
        refresh_token_lifetime=_number(inner, "token_lifetime", "refresh_token_lifetime"),
        refresh_token_idle_lifetime=_number(inner, "idle_token_lifetime", "refresh_token_idle_lifetime"),
    )
    if inner.boolean("infinite_token_lifetime") or expiration == "non-expiring":
        columns["refresh_token_lifetime"] = None
    if inner.boolean("infinite_idle_token_lifetime") or expiration == "non-expiring":
        columns["refresh_token_idle_lifetime"] = None
    inner.done()
    return columns
