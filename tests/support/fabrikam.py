"""Fabrikam, an installation that has been used for a while: something to see on every page, with names and numbers as they really are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone

from idp.connections import health
from idp.connections.contract import Account
from idp.directory import memberships
from idp.http.requests import RequestFacts
from idp.models import (
    Application,
    ClaimTrouble,
    Connection,
    Group,
    Invitation,
    RefusedRequest,
    Role,
    User,
)
from idp.people import identities, invitations
from idp.scim import tokens
from idp.tenants import configuration
from logout_app.models import (
    DeliveryState,
    EventStream,
    LogoutDelivery,
    LogoutEvent,
    OutgoingStream,
    ReceivedSignal,
    RevocationRequest,
    StreamKind,
    Webhook,
)
from logout_app.protocol.streams import vocabulary
from sessions_app.audit import trail
from sessions_app.audit.events import EventType
from sessions_app.models import SSOSession
from tests.protocol.admin.scene import came_of, end
from tests.protocol.admin.test_connection_health import certificate
from tests.support import rows
from tests.support.factories import make_application, make_connection, make_session, make_user
from tests.support.saml_sp import ServiceProvider

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
AT_HOME = RequestFacts("2001:db8:85a3::8a2e:370:7334", FIREFOX)


@dataclass
class Fabrikam:
    rows: dict[type[Model], Model]
    mary: User
    adele: User
    debugger: Application
    sharepoint: Application
    timesheet: Application
    payroll: Application  # speaks SAML
    cinema: Application  # a device
    okta: Connection
    partner: Connection
    staff: Connection  # a database with sign-up and sign-in by mail
    ended: SSOSession

    def admin(self) -> list[str]:
        """Pages of the admin that differ from those of one row of each table."""
        change, act = "admin:idp_{}_change", "admin:idp_{}_act"
        others = [(app, "application") for app in (self.sharepoint, self.payroll, self.cinema)]
        others += [(connection, "connection") for connection in (self.okta, self.partner)]
        found = [reverse(change.format(kind), args=(row.pk,)) for row, kind in others]
        found += [reverse(change.format("user"), args=(user.pk,)) for user in (self.mary, self.adele)]
        found += [reverse(act.format("connection"), args=(self.okta.pk, "provision"))]
        found += [reverse(act.format("application"), args=(self.payroll.pk, "sample-assertion"))]
        found += [reverse("admin:sessions_app_ssosession_change", args=(self.ended.pk,))]
        evidence, find, log = (
            reverse(f"admin:{name}") for name in ("evidence", "find", "sessions_app_sessionevent_changelist")
        )
        found += [f"{evidence}?person=mary@fabrikamcorp.com", f"{evidence}?person=nobody"]
        found += [f"{reverse('admin:api_reference')}?operation=patch_clients_by_client_id"]
        found += [f"{find}?q=a", f"{find}?q=nothing-is-called-so"]
        found += [f"{log}?person=mary&within=day", f"{log}?ip=somewhere&from=yesterday", f"{log}?person=nobody"]
        found += [
            f"{reverse('admin:idp_application_add')}?kind={kind}"
            for kind in ("web", "spa", "machine", "device", "saml", "all")
        ]
        return found

    def of_each_role(self) -> list[str]:
        """Where operators, configurators and auditors come to, and meet what they may not."""
        rows = {"idp_user": self.mary, "idp_application": self.sharepoint, "idp_connection": self.okta}
        found = [reverse(f"admin:{kind}_change", args=(row.pk,)) for kind, row in rows.items()]
        found += [reverse("admin:sessions_app_ssosession_change", args=(self.ended.pk,))]
        found += [reverse("admin:idp_user_act", args=(self.mary.pk, "sign-out"))]
        lists = (
            "idp_user",
            "idp_application",
            "sessions_app_ssosession",
            "logout_app_logoutdelivery",
            "idp_signingkey",
        )
        found += [reverse(f"admin:{name}_changelist") for name in (*lists, "sessions_app_sessionevent")]
        return [*found, *(reverse(f"admin:{name}") for name in ("index", "evidence", "mails"))]


def build() -> Fabrikam:
    now = timezone.now()
    found = rows.one_of_each()
    LogoutDelivery.objects.update(
        state=DeliveryState.DEAD, attempts=1, last_status=503, last_reason="busy", finished_at=now
    )
    debugger = found[Application]
    _with_addresses(debugger, "https://jwt.example")
    sharepoint, timesheet = make_application("SharePoint Intranet"), make_application("Timesheet SaaS")
    _with_addresses(sharepoint, "https://sharepoint.example")
    _with_addresses(timesheet, "https://timesheet.example")
    wiki = make_application("Old Wiki")
    payroll = ServiceProvider("payroll").register()
    cinema = make_application(
        "Cinema", app_type="native", token_endpoint_auth_method="none", is_first_party=False,
        grant_types=["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
    )  # fmt: skip
    okta, partner = _connections(now)
    identities.receive(okta, Account(sub="00u1a2b3c4d5e6f7g8h9", email="ann.ames@acme.example"), at=now)
    mary = found[User]
    adele = make_user("adele.vance@fabrikamcorp.com", name="Adele Vance")
    EmailAddress.objects.create(user=adele, email=adele.email, verified=True, primary=True)
    _directory(found, sharepoint, adele, now)
    _settings()
    staff = make_connection("Staff", options={"disable_signup": False, "email_sign_in": "code"})
    ended = _ends(mary, [debugger, sharepoint, timesheet, wiki], now)
    _streams(found)
    fabrikam = Fabrikam(
        found, mary, adele, debugger, sharepoint, timesheet, payroll, cinema, okta, partner, staff, ended
    )
    _trail(fabrikam, now)
    make_session(mary, debugger, sharepoint, initial_ip="203.0.113.7", last_user_agent=FIREFOX)
    make_session(
        mary, timesheet, initial_ip="198.51.100.23", last_user_agent=IPHONE, last_seen_at=now - timedelta(minutes=40)
    )
    return fabrikam


def _with_addresses(application: Application, origin: str) -> None:
    application.backchannel_logout_uri = f"{origin}/backchannel"
    application.redirect_uris = f"{origin}/signin-oidc http://localhost:3000/callback"
    application.post_logout_redirect_uris = f"{origin}/"
    application.save()


def _connections(now: datetime) -> tuple[Connection, Connection]:
    okta = make_connection(
        "acme-okta", "okta", display_name="Acme Okta",
        options={"domain": "acme.okta.com", "client_id": "0oa1acme5d7", "domain_aliases": ["acme.example"]},
    )  # fmt: skip
    partner = make_connection(
        "partner", "samlp", display_name="Partner of Fabrikam",
        options={"signInEndpoint": "https://idp.example.com/sso", "signingCert": certificate(12)},
    )  # fmt: skip
    health.examine(partner, at=now)
    health.examine(make_connection("closed", "oidc", enabled=False), at=now)
    provisioning = tokens.switch_on(okta, actor="system", at=now)
    tokens.create(provisioning, actor="system", at=now)
    RevocationRequest.objects.create(connection=okta, status=204, sub="okta|acme-okta|00u1a2b3c4d5e6f7g8h9")
    RevocationRequest.objects.create(connection=okta, status=401, reason="The signature is by none of its keys.")
    return okta, partner


def _directory(found: dict[type[Model], Model], application: Application, adele: User, now: datetime) -> None:
    group = found[Group] = Group.objects.create(name="Finance", description="Everybody who may see figures")
    memberships.add_person(group, found[User], actor="system", at=now)
    memberships.add_person(group, adele, actor="system", at=now)
    permission = {"resource_server_identifier": "https://api.example/", "permission_name": "read:things"}
    found[Role] = Role.objects.create(name="Accountant", permissions=[permission], groups=["Finance"])
    application.access_mode, application.access_groups = "groups", ["Finance"]
    application.claim_mappings = [{"claim": "department", "from": "user.app_metadata.department", "in": ["id_token"]}]
    application.save()
    ClaimTrouble.objects.create(application=application, claim="department", reason="There is nothing of that name.", first_at=now)  # fmt: skip
    RefusedRequest.objects.create(
        application=application, what="redirect_uri", received="https://sharepoint.example/signin-oidc/",
        reason="The redirect URI is not registered.", first_at=now - timedelta(hours=3), last_at=now,
    )  # fmt: skip
    staff = make_connection()
    found[Invitation] = invitations.invite(
        "nina@fabrikamcorp.com", staff, name="Nina", groups=[group], actor="system", at=now
    )


def _settings() -> None:
    tenant = configuration.load_tenant()
    tenant.friendly_name, tenant.accent_color = "Fabrikam", "#0b6a4f"
    tenant.support_email = "help@fabrikamcorp.com"
    tenant.privacy_url, tenant.imprint_url = "https://fabrikamcorp.com/privacy", "https://fabrikamcorp.com/imprint"
    tenant.session_management = True
    tenant.save()


def _ends(mary: User, applications: list[Application], now: datetime) -> SSOSession:
    """Sign-outs of a day, most of which went well; the last one did not."""
    for hours in (20, 9, 5, 3, 2):
        end(_began(mary, applications[:2], now - timedelta(hours=hours + 1)))
        for application, after in zip(applications, (0.2 * hours, 0.03 * hours), strict=False):
            came_of(application, "delivered", status=204, after=after)
        _move(LogoutEvent.objects.latest("pk"), timedelta(hours=hours))
    last = _began(mary, applications, now - timedelta(hours=2))
    end(last, now - timedelta(minutes=9))
    LogoutDelivery.objects.filter(session=last).update(created_at=now - timedelta(minutes=9))
    came_of(applications[0], "delivered", status=204)
    came_of(applications[1], "dead", status=503, reason="HTTP 503: busy")
    return last


def _began(user: User, applications: list[Application], at: datetime) -> SSOSession:
    return make_session(
        user, *applications, created_at=at, auth_time=at, initial_ip="203.0.113.7", last_user_agent=FIREFOX
    )


def _move(event: LogoutEvent, back: timedelta) -> None:
    LogoutEvent.objects.filter(pk=event.pk).update(at=event.at - back)
    for row in LogoutDelivery.objects.filter(event=event):
        moved = {"created_at": row.created_at - back, "finished_at": row.finished_at and row.finished_at - back}
        LogoutDelivery.objects.filter(pk=row.pk).update(**moved)


def _streams(found: dict[type[Model], Model]) -> None:
    for model, kind, name in (
        (OutgoingStream, StreamKind.SSF, "Okta Identity Threat Protection"),
        (Webhook, StreamKind.WEBHOOK, "Audit lake"),
    ):
        row = EventStream.objects.create(
            kind=kind, public_id=f"{kind}-3f2a91c07be4"[:24], name=name, endpoint=f"https://{kind}.example/events",
            audiences=["https://acme.okta.com"], events=[vocabulary.SESSION_REVOKED],
        )  # fmt: skip
        found[model] = model.objects.get(pk=row.pk)


def _trail(it: Fabrikam, now: datetime) -> None:
    session = _began(it.mary, [it.debugger], now)
    by = f"admin:{it.adele.user_id}"
    trail.record(EventType.OPENED, at=now, session=session, facts=AT_HOME, data={"amr": ["pwd", "otp"]})
    trail.record(EventType.JOINED, at=now, session=session, application=it.debugger, facts=AT_HOME)
    trail.record(EventType.SIGN_IN_FAILED, at=now, user=it.mary, connection=it.okta, facts=AT_HOME)
    refused = {"reference": "ABCD-EFGH", "outcome": "refused", "reason": "The identity provider says access_denied: User is not assigned to the client application."}  # fmt: skip
    trail.record(EventType.UPSTREAM_SIGN_IN_FAILED, at=now, connection=it.okta, facts=AT_HOME, data=refused)
    changes = [
        {"what": "redirect_uris", "from": "https://sharepoint.example/callback", "to": "https://sharepoint.example/callback https://new.sharepoint.example/signin-oidc"},
        {"what": "client_secret", "from": "a secret", "to": "another secret"},
    ]  # fmt: skip
    trail.record(EventType.APPLICATION_CHANGED, at=now, application=it.sharepoint, actor=by, facts=AT_HOME, data={"changes": changes})  # fmt: skip
    given = [{"what": "roles and groups of administrators", "from": "nothing", "to": "Operators"}]
    trail.record(EventType.POWERS_CHANGED, at=now, user=it.mary, actor=by, facts=AT_HOME, data={"changes": given})
    trail.record(EventType.SIGN_IN_THROTTLED, at=now, connection=it.okta, facts=AT_HOME, data={"limits": ["account", "network"]})  # fmt: skip
    ReceivedSignal.objects.create(connection=it.okta, issued_at=now, type=vocabulary.SESSION_REVOKED, effect="sessions ended", sub=it.mary.user_id, subject="iss_sub 00u1a2b3c4d5e6f7g8h9", sessions=1)  # fmt: skip
