"""The applications that rely on us, and the APIs that their tokens are for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from oauth2_provider.models import AbstractApplication

from idp.applications import management_api, rules
from idp.applications.usable import Usable
from idp.protocol import clients, token_dialects
from idp.protocol.bounds import MOST_SECONDS, Bounds
from idp.protocol.initiators import EVERY, heard_as
from idp.saml.application import settings as saml

NO_LIST = models.Value([], models.JSONField())  # an earlier release writes rows without these columns
NO_OBJECT = models.Value({}, models.JSONField())
TOKEN_LIFETIME = Bounds(1, MOST_SECONDS)  # seconds, of an API's access tokens
SIGNING_CHOICES = [(name, name) for name in clients.SIGNING_ALGORITHMS]


class AppType(models.TextChoices):
    SPA = "spa", "Single-page application"
    NATIVE = "native", "Native"
    REGULAR_WEB = "regular_web", "Regular web application"
    NON_INTERACTIVE = "non_interactive", "Machine to machine"


class TokenEndpointAuthMethod(models.TextChoices):
    NONE = clients.NONE, "None (public client)"
    POST = clients.SECRET_POST, clients.SECRET_POST
    BASIC = clients.SECRET_BASIC, clients.SECRET_BASIC
    PRIVATE_KEY_JWT = clients.PRIVATE_KEY_JWT, clients.PRIVATE_KEY_JWT


class SubjectType(models.TextChoices):
    PUBLIC = clients.PUBLIC, "Public: the same user id everywhere"
    PAIRWISE = clients.PAIRWISE, "Pairwise: a user id of its own for each sector"


class InitiatorMode(models.TextChoices):
    ALL = "all", "All, also future ones"
    CUSTOM = "custom", "Selected"


class AccessMode(models.TextChoices):
    EVERYONE = "everyone", "Everybody who can sign in"
    GROUPS = "groups", "People of some groups"
    ASSIGNED = "assigned", "People who are assigned to it"


def default_grant_types() -> list[str]:
    return ["authorization_code", "refresh_token"]


def default_initiators() -> list[str]:
    """All of them: whoever narrows the choice begins with the whole."""
    return list(EVERY)


class Application(AbstractApplication):
    """A relying party: `client_id` on the wire.

    django-oauth-toolkit's columns that we keep: client_id, client_secret (our SHA-256 hasher), redirect_uris (Auth0's
    callbacks), post_logout_redirect_uris (Auth0's allowed_logout_urls), allowed_origins; all space separated.
    """

    app_type = models.CharField(max_length=20, choices=AppType, default=AppType.REGULAR_WEB)
    token_endpoint_auth_method = models.CharField(
        max_length=24, choices=TokenEndpointAuthMethod, default=TokenEndpointAuthMethod.POST
    )
    grant_types = models.JSONField(default=default_grant_types)
    web_origins = models.JSONField(default=list, blank=True, help_text="Origins of silent authentication and ssodata.")
    logo_uri = models.URLField(max_length=1000, blank=True)
    policy_uri = models.URLField(max_length=1000, blank=True, default="", db_default="")
    tos_uri = models.URLField(max_length=1000, blank=True, default="", db_default="")
    is_first_party = models.BooleanField(default=True, help_text="No consent page.")
    enabled = models.BooleanField(default=True)
    require_pkce = models.BooleanField(default=False, help_text="Public clients must use PKCE anyway.")
    allow_logout_url_wildcards = models.BooleanField(
        default=False,
        help_text="A * as the whole leftmost host label of allowed logout URLs, like https://*.example.com; for /v2/logout only.",
    )
    id_token_signed_response_alg = models.CharField(max_length=8, choices=SIGNING_CHOICES, default="RS256")
    id_token_encrypted_response_alg = models.CharField(
        max_length=16,
        choices=[(name, name) for name in clients.ENCRYPTION_ALGORITHMS],
        blank=True,
        default="",
        db_default="",
        help_text="ID tokens are encrypted for the application (A256GCM) by one of its public keys. Empty: signed only.",
    )
    subject_type = models.CharField(
        max_length=8,
        choices=SubjectType,
        default=SubjectType.PUBLIC,
        db_default=SubjectType.PUBLIC,
        help_text="Pairwise: applications of different sectors cannot tell from the user id that it is the same person.",
    )
    sector_identifier_uri = models.URLField(max_length=1000, blank=True, default="", db_default="")
    require_pushed_authorization_requests = models.BooleanField(
        default=False, db_default=False, help_text="Only requests that were pushed to /oauth/par before (RFC 9126)."
    )
    dpop_bound_access_tokens = models.BooleanField(
        default=False, db_default=False, help_text="Access tokens only with a proof of possession (RFC 9449)."
    )
    strict_client_assertions = models.BooleanField(
        default=False,
        db_default=False,
        help_text="private_key_jwt: aud is our issuer and nothing else, signed by PS256, ES256 or EdDSA.",
    )
    userinfo_signed_response_alg = models.CharField(
        max_length=8, blank=True, choices=[("", "JSON, not signed"), *SIGNING_CHOICES], default="", db_default=""
    )
    scope_claims_in_userinfo_only = models.BooleanField(
        default=False,
        db_default=False,
        help_text="What the scopes profile, email, address and phone give is told by /userinfo and not by ID tokens "
        "(OpenID Connect Core 5.4).",
    )
    default_max_age = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Seconds since people proved who they are, where a request says none (max_age).",
    )
    session_expiry = models.BooleanField(
        default=True,
        db_default=True,
        help_text="ID tokens say when the session ends (session_expiry), so that the application ends its own by then.",
    )
    require_mfa = models.BooleanField(
        default=False, db_default=False, help_text="Nobody uses it without having proved a second factor."
    )
    default_acr_values = models.JSONField(
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
        help_text="How surely people must have proved who they are, where a request does not say (acr_values).",
    )
    id_token_lifetime = models.PositiveIntegerField(default=36000, help_text="Seconds.")
    access_token_lifetime = models.PositiveIntegerField(default=7200, help_text="Seconds.")
    access_tokens_die_with_session = models.BooleanField(default=True)
    jwks = models.JSONField(null=True, blank=True, help_text="Public keys for private_key_jwt.")
    jwks_uri = models.URLField(max_length=1000, blank=True)

    backchannel_logout_uri = models.URLField(max_length=1000, blank=True)
    backchannel_logout_session_required = models.BooleanField(default=True)
    backchannel_logout_token_typ = models.CharField(
        max_length=12, choices=[("logout+jwt", "logout+jwt"), ("JWT", "JWT (Auth0's)")], default="logout+jwt"
    )
    backchannel_logout_include_sub = models.BooleanField(default=True)
    backchannel_logout_initiators_mode = models.CharField(
        max_length=8, choices=InitiatorMode, default=InitiatorMode.ALL
    )
    backchannel_logout_initiators = models.JSONField(default=default_initiators, blank=True)
    frontchannel_logout_uri = models.URLField(max_length=1000, blank=True)
    frontchannel_logout_session_required = models.BooleanField(default=False)
    global_token_revocation_uri = models.URLField(max_length=1000, blank=True, help_text="Its own GTR endpoint.")
    reauthentication_uri = models.URLField(max_length=1000, blank=True, default="", db_default="")
    command_endpoint = models.URLField(max_length=1000, blank=True, default="", db_default="")
    outbound_hosts = models.JSONField(
        default=list, blank=True, help_text="If given, requests to this application may only go to these host names."
    )

    android_package_name = models.CharField(max_length=255, blank=True, default="", db_default="")
    android_fingerprints = models.TextField(blank=True, default="", db_default="", help_text="Space separated.")
    ios_team_id = models.CharField(max_length=10, blank=True, default="", db_default="")
    ios_bundle_id = models.CharField(max_length=255, blank=True, default="", db_default="")

    session_refresh_tokens = models.BooleanField(
        null=True,
        blank=True,
        help_text="Refresh tokens without offline_access that die with the session. Unknown: by type.",
    )
    refresh_token_rotating = models.BooleanField(default=True)
    refresh_token_leeway = models.PositiveIntegerField(
        default=30, help_text="Seconds in which the previous token still works."
    )
    refresh_token_lifetime = models.PositiveIntegerField(
        null=True, blank=True, default=2592000, help_text="Seconds; empty: no limit."
    )
    refresh_token_idle_lifetime = models.PositiveIntegerField(
        null=True, blank=True, default=1296000, help_text="Seconds; empty: no limit."
    )

    access_mode = models.CharField(
        max_length=10, choices=AccessMode, default=AccessMode.EVERYONE, db_default="everyone"
    )
    access_groups = models.JSONField(
        default=list,
        db_default=NO_LIST,
        blank=True,
        help_text='Names of groups, or {"connection": "acme-okta", "name": "staff"} for one of one source.',
    )
    access_loss_signs_out = models.BooleanField(
        default=False, db_default=False, help_text="Who may not use it any more is signed out there at once."
    )
    claim_mappings = models.JSONField(
        default=list,
        db_default=NO_LIST,
        blank=True,
        help_text='[{"claim": "roles", "from": "groups[?starts_with(@, \'grafana-\')]", "in": ["id_token", "userinfo"]}]',
    )
    saml = models.JSONField(default=dict, db_default=NO_OBJECT, blank=True)  # in the names of Auth0's addons.samlp
    saml_soap_logout_uri = models.URLField(max_length=1000, blank=True, default="", db_default="", editable=False)
    saml_logout_uri = models.URLField(max_length=1000, blank=True, default="", db_default="", editable=False)
    wsfed = models.JSONField(default=dict, db_default=NO_OBJECT, blank=True)  # in the names of Auth0's addons.wsfed

    class Meta(AbstractApplication.Meta):
        ordering = ("name", "client_id")

    @property
    def callbacks(self) -> list[str]:
        return str(self.redirect_uris).split()

    @property
    def allowed_logout_urls(self) -> list[str]:
        return str(self.post_logout_redirect_uris).split()

    @property
    def fingerprints(self) -> list[str]:
        """Of the certificates that sign it on Android."""
        return str(self.android_fingerprints).split()

    @property
    def usable(self) -> Usable:
        """What of the stored values may be used: everything that acts on one asks here."""
        if "_usable" not in self.__dict__:
            self._usable = Usable(self)
        return self._usable

    @property
    def is_native(self) -> bool:
        return self.app_type == AppType.NATIVE

    @property
    def is_public(self) -> bool:
        return self.token_endpoint_auth_method == TokenEndpointAuthMethod.NONE

    @property
    def may_use_any_port(self) -> bool:
        """On loopback. Tools often register without an application_type, but always as public clients, which prove by PKCE
        that a code is theirs."""
        return self.is_native or self.is_public

    @property
    def has_secret(self) -> bool:
        """Whether it proves who it is by a client secret."""
        return self.token_endpoint_auth_method in clients.SECRET_METHODS

    @property
    def issues_session_refresh_tokens(self) -> bool:
        if self.session_refresh_tokens is None:
            return self.app_type in (AppType.REGULAR_WEB, AppType.NATIVE)
        return self.session_refresh_tokens

    def hears_of(self, initiator: str) -> bool:
        """Whether back-channel logout tokens are sent for sessions that ended this way."""
        if self.backchannel_logout_initiators_mode == InitiatorMode.ALL:
            return True
        return not {*heard_as(initiator)}.isdisjoint(self.backchannel_logout_initiators)

    @property
    def deaf_to(self) -> list[str]:
        """The initiators of which no logout token is sent."""
        return [initiator for initiator in EVERY if not self.hears_of(initiator)]

    def save(self, *args: Any, **kwargs: Any) -> None:
        # django-oauth-toolkit asks client_type and one grant; ours say more, so its columns follow them.
        self.client_type = self.CLIENT_PUBLIC if self.is_public else self.CLIENT_CONFIDENTIAL
        self.authorization_grant_type = (
            self.GRANT_CLIENT_CREDENTIALS
            if "authorization_code" not in self.grant_types
            else self.GRANT_AUTHORIZATION_CODE
        )
        self.skip_authorization = self.is_first_party
        saml.fill_columns(self, kwargs)
        super().save(*args, **kwargs)
        self.__dict__.pop("_usable", None)

    def allows_grant_type(self, *grant_types: str) -> bool:
        # django-oauth-toolkit spells authorization_code with a hyphen.
        asked = {g.replace("-", "_") if not g.startswith("urn:") else g for g in grant_types}
        return bool(asked & set(self.grant_types))

    def is_usable(self, request: Any) -> bool:
        return self.enabled

    def clean(self) -> None:
        """Our rules. django-oauth-toolkit's own do not fit (one grant, RSA key in a setting)."""
        found: dict[str, list[str]] = {}
        for problem in rules.problems(self):
            found.setdefault(problem.field, []).append(str(problem))
        if found:
            raise ValidationError(found)


class ClientRegistration(models.Model):
    """An application that registered itself (RFC 7591) and may manage its registration by a token (RFC 7592)."""

    application = models.OneToOneField(Application, on_delete=models.CASCADE, related_name="registration")
    token_hash = models.CharField(
        max_length=64, unique=True, editable=False, help_text="SHA-256 of the registration access token."
    )
    metadata = models.JSONField(
        default=dict, blank=True, help_text="What it told about itself that no column of the application keeps."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_ip = models.GenericIPAddressField(null=True, editable=False)

    def __str__(self) -> str:
        return f"registration of {self.application}"


class TokenFormat(models.TextChoices):
    OPAQUE = token_dialects.OPAQUE, "Opaque: dead at once when its session ends"
    AUTH0 = token_dialects.AUTH0, "JWT with Auth0's claims, valid until it expires"
    AUTH0_AUTHZ = token_dialects.AUTH0_AUTHZ, "JWT with Auth0's claims and permissions, valid until it expires"
    RFC9068 = token_dialects.RFC9068, "JWT (RFC 9068), valid until it expires"
    RFC9068_AUTHZ = token_dialects.RFC9068_AUTHZ, "JWT (RFC 9068) with permissions, valid until it expires"


class ResourceServer(models.Model):
    """An API: the audience of access tokens."""

    identifier = models.CharField(max_length=600, unique=True, help_text="The audience, e.g. https://api.example.com/.")
    name = models.CharField(max_length=255, blank=True)
    scopes = models.JSONField(default=list, blank=True, help_text='[{"value": "read:things", "description": "..."}]')
    token_lifetime = models.PositiveIntegerField(default=86400, help_text="Seconds.")
    token_dialect = models.CharField(
        "format",
        max_length=32,
        choices=TokenFormat,
        default=TokenFormat.OPAQUE,
        help_text="Opaque tokens are looked up here with each use, so they end with the session, the person and the application. "
        "An API that verifies JWTs by itself asks nobody, and takes one until it expires.",
    )
    enforce_policies = models.BooleanField(
        default=False, db_default=False, help_text="People get only those scopes that are permissions of their roles."
    )
    signing_alg = models.CharField(max_length=8, choices=SIGNING_CHOICES, default="RS256")
    allow_offline_access = models.BooleanField(default=True)
    is_system = models.BooleanField(default=False, editable=False, help_text="Our own Management API.")

    class Meta:
        ordering = ("identifier",)

    def __str__(self) -> str:
        return self.name or self.identifier

    def save(self, *args: Any, **kwargs: Any) -> None:
        management_api.pin(self)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        if reason := TOKEN_LIFETIME.problem(self.token_lifetime):
            raise ValidationError({"token_lifetime": reason})

    @property
    def usable_lifetime(self) -> int:
        """Seconds. One that was stored before there were bounds counts as the nearest."""
        return TOKEN_LIFETIME.nearest(self.token_lifetime)

    @property
    def issues_jwts(self) -> bool:
        return self.token_dialect != TokenFormat.OPAQUE

    @property
    def tells_permissions(self) -> bool:
        """In `permissions` of the token; of an opaque one, at introspection."""
        return self.enforce_policies and (not self.issues_jwts or token_dialects.has_permissions(self.token_dialect))

    def permissions(self, granted: Iterable[str]) -> list[str]:
        """What these scopes permit a program here; of people, roles say it (`idp.directory.entitlements`)."""
        return [scope for scope in granted if scope in self.scope_values]

    @property
    def scope_values(self) -> set[str]:
        return {scope["value"] for scope in self.scopes}


class ClientGrant(models.Model):
    """What an application may ask of an API by client_credentials."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="client_grants")
    resource_server = models.ForeignKey(ResourceServer, on_delete=models.CASCADE, related_name="client_grants")
    scope = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("application", "resource_server"), name="idp_clientgrant_one_per_pair"),
        )

    def __str__(self) -> str:
        return f"{self.application} at {self.resource_server}"
