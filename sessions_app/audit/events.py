"""Every kind of line of the audit trail: what it is about, what it means, and which facts it holds.

What reads the trail (the administration, logs, streams of events) reads this. The values are stored: they never change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


class Described(StrEnum):
    """A value with its meaning in words."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Described:
        member = str.__new__(cls, value)
        member._value_, member.meaning = value, meaning
        return member


class EventGroup(Described):
    """What a line is about. Who needs all of a group needs what will be added to it, too."""

    SESSION = "session", "The life of a session, from its first proof to its end."
    SIGN_IN = "sign-in", "Attempts to prove who one is that failed, and limits of guessing that were reached."
    CREDENTIALS = "credentials", "What a person proves who they are with."
    TOKENS = "tokens", "What applications hold of a person: codes and refresh tokens."
    CONNECTION = "connection", "Identity providers, directories and databases: who changed them, what they asked for."
    CONFIGURATION = "configuration", "Applications and the tenant's settings: who changed what."
    ACCESS = "access", "Who may use what: groups, roles, assignments, and sign-outs at one application that follow."
    ADMINISTRATION = "administration", "What administrators did in the console, and who may do what there."


class Fact(Described):
    """One fact of a line, by the name of its column. Each is a copy: no later deletion or renaming changes it."""

    SESSION = "sid", "the session, by its public id"
    SUB = "sub", "the person, by user id (`sub` in tokens)"
    CLIENT = "client_id", "the application"
    CONNECTION = "connection", "the connection, by name"
    INITIATOR = (
        "initiator",
        "why a session ended, one of Auth0's nine initiators, `access-lost`, `shared-signal`, `deprovisioned` or `not-me`",
    )
    ACTOR = (
        "actor",
        "who did it: `user`, `admin:{user_id}`, `app:{client_id}`, `upstream:{connection}`, `scim:{connection}`, "
        "`operator:{name}` (on the command line), `system`",
    )
    IP = "ip", "where the request came from"
    USER_AGENT = "user_agent", "the browser or program that sent it"


_REQUEST = (Fact.IP, Fact.USER_AGENT)


class EventType(StrEnum):
    """`words` are its name for people. Of `facts` a line has all, of `others` those that there were. `data`: further ones."""

    group: EventGroup
    words: str
    meaning: str
    facts: frozenset[Fact]
    others: frozenset[Fact]
    data: Mapping[str, str]

    def __new__(
        cls,
        value: str,
        group: EventGroup,
        words: str,
        meaning: str,
        facts: Iterable[Fact] = (),
        others: Iterable[Fact] = (),
        data: Mapping[str, str] = MappingProxyType({}),
    ) -> EventType:
        member = str.__new__(cls, value)
        member._value_, member.group, member.words, member.meaning = value, group, words, meaning
        member.facts, member.others, member.data = frozenset(facts), frozenset(others), MappingProxyType(dict(data))
        return member

    # --- session ---
    OPENED = (
        "opened",
        EventGroup.SESSION,
        "Signed in",
        "A session began: somebody proved who they are.",
        (Fact.SESSION, Fact.SUB),
        (Fact.CONNECTION, *_REQUEST),
        {
            "amr": "how it was proved, as names of methods",
            "known_device": "true, if the account signed in from this browser before",
            "remembered": "true, if the browser is remembered and no second factor was asked for",
        },
    )
    JOINED = (
        "joined",
        EventGroup.SESSION,
        "Application joined",
        "An application takes part in the session from now on, and will be told of its end.",
        (Fact.SESSION, Fact.SUB, Fact.CLIENT),
        (Fact.CONNECTION, *_REQUEST),
    )
    REAUTHENTICATED = (
        "reauthenticated",
        EventGroup.SESSION,
        "Reauthenticated",
        "The person of a session proved again that it is them.",
        (Fact.SESSION, Fact.SUB),
        (Fact.CONNECTION, *_REQUEST),
        {"amr": "how it was proved, as names of methods"},
    )
    REAUTHENTICATION_REQUIRED = (
        "reauthentication_required",
        EventGroup.SESSION,
        "Reauthentication required",
        "The session lives, and opens nothing until its person has proved again who they are.",
        (Fact.SESSION, Fact.SUB, Fact.ACTOR),
        (Fact.CONNECTION,),
    )
    ENDED = (
        "ended",
        EventGroup.SESSION,
        "Session ended",
        "The session is over, whatever its cookie says. The application is the last one that joined.",
        (Fact.SESSION, Fact.SUB, Fact.INITIATOR, Fact.ACTOR),
        (Fact.CLIENT, Fact.CONNECTION),
        {"event": "the sign-out (`LogoutEvent`) that ended it, maybe with others"},
    )
    NOT_ME = (
        "not_me",
        EventGroup.SESSION,
        "This was not me",
        "A person said so by the link of a mail: everything of them has ended.",
        (Fact.SUB, Fact.INITIATOR, Fact.ACTOR),
        _REQUEST,
        {
            "mail": "what the mail was about",
            "event": "the sign-out, null if nothing was there to end",
            "sessions_ended": "how many sessions",
            "passkeys": "how many passkeys are second factors only since",
            "restored": "true, if the address of before is the person's again, and the password nobody's",
        },
    )

    # --- sign-in ---
    SIGN_IN_FAILED = (
        "sign_in_failed",
        EventGroup.SIGN_IN,
        "Sign in failed",
        "A wrong password or passkey, or somebody who may not sign in. What was typed is not kept; a known account is named.",
        (),
        (Fact.SUB, Fact.CONNECTION, *_REQUEST),
        {"reason": "why, if it was not the password"},
    )
    UPSTREAM_SIGN_IN_FAILED = (
        "upstream_sign_in_failed",
        EventGroup.SIGN_IN,
        "Upstream sign in failed",
        "An identity provider or a directory did not sign somebody in. The page that they saw has the reference.",
        (),
        (Fact.CONNECTION, *_REQUEST),
        {
            "reference": "what the person reads out; a search for it finds this line",
            "outcome": "`failed`, `refused`, `not_enough`, `lost` (no sign-in waited for the answer) or `silent`",
            "reason": "why, in words",
        },
    )
    SIGN_IN_THROTTLED = (
        "sign_in_throttled",
        EventGroup.SIGN_IN,
        "Sign in throttled",
        "A limit of wrong passwords or passkeys was reached; once per window, not once per attempt.",
        (),
        (Fact.CONNECTION, *_REQUEST),
        {"limits": "which limits; `pressure`: many networks are at it"},
    )
    SECOND_FACTOR_FAILED = (
        "second_factor_failed",
        EventGroup.SIGN_IN,
        "Second factor failed",
        "A wrong code or security key of somebody who had proved the first factor.",
        (Fact.SUB, Fact.CONNECTION),
        _REQUEST,
        {"factor": "which factor was tried"},
    )
    SECOND_FACTOR_THROTTLED = (
        "second_factor_throttled",
        EventGroup.SIGN_IN,
        "Second factor throttled",
        "A limit of wrong second factors was reached; once per window.",
        (Fact.CONNECTION,),
        _REQUEST,
        {"limits": "which limits"},
    )
    DEVICE_CODE_FAILED = (
        "device_code_failed",
        EventGroup.SIGN_IN,
        "Device code failed",
        "Somebody who is signed in typed a code that no device waits with.",
        (Fact.SESSION, Fact.SUB),
        (Fact.CONNECTION, *_REQUEST),
    )
    DEVICE_CODE_THROTTLED = (
        "device_code_throttled",
        EventGroup.SIGN_IN,
        "Device code throttled",
        "A person's limit of wrong device codes was reached; once per window.",
        (Fact.SESSION, Fact.SUB),
        (Fact.CONNECTION, *_REQUEST),
    )
    GUESSING_THROTTLED = (
        "guessing_throttled",
        EventGroup.SIGN_IN,
        "Guessing throttled",
        "A network sent too many wrong values of a secret that nobody can guess; once per window.",
        (),
        _REQUEST,
        {"what": "which secret: a client's, a token of metrics, a link of a mail …"},
    )

    # --- credentials ---
    SIGNED_UP = (
        "signed_up",
        EventGroup.CREDENTIALS,
        "Account made",
        "Somebody made an account of a database connection: after an invitation, or where sign-up is open.",
        (Fact.SUB, Fact.CONNECTION, Fact.ACTOR),
        _REQUEST,
    )
    ADDRESS_CHANGED = (
        "email_changed",
        EventGroup.CREDENTIALS,
        "Address changed",
        "A person has another e-mail address. The addresses are not kept, as they are personal.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
        {
            "verified": "true, if it is known that the new one is theirs",
            "restores": "true, if it is the one of before, which its owner has back by *This was not me*",
        },
    )
    PASSWORD_CHANGED = (
        "password_changed",
        EventGroup.CREDENTIALS,
        "Password changed",
        "A person has another password of ours than before.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
        {
            "why": "`chosen`, `reset` (by a link of a mail), `address-proved` (of before the first sign-in by mail: "
            "nobody knows the new one) or `not-me` (the same, by *This was not me*)"
        },
    )
    SECOND_FACTOR_ADDED = (
        "second_factor_added",
        EventGroup.CREDENTIALS,
        "Second factor added",
        "A person can prove who they are by one more second factor, or has new recovery codes.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
        {"factor": "`totp`, `webauthn` or `recovery_codes`"},
    )
    SECOND_FACTOR_REMOVED = (
        "second_factor_removed",
        EventGroup.CREDENTIALS,
        "Second factor removed",
        "One second factor of a person was taken away, by them or by somebody else.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
        {"factor": "`totp` or `webauthn`"},
    )
    SECOND_FACTORS_RESET = (
        "second_factors_reset",
        EventGroup.CREDENTIALS,
        "Second factors reset",
        "Somebody took all second factors and recovery codes of a person away; they set up new ones.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
        {"factors": "what they had, as kinds"},
    )
    BROWSER_REMEMBERED = (
        "browser_remembered",
        EventGroup.CREDENTIALS,
        "Browser remembered",
        "Somebody proved a second factor and wants not to be asked for it in this browser for a while.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
        {"days": "for how many days"},
    )
    BROWSERS_FORGOTTEN = (
        "browsers_forgotten",
        EventGroup.CREDENTIALS,
        "Browsers forgotten",
        "The second factor is asked for again where it was not: by the person, or with a change of password or factors, or a block.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
        {"browsers": "how many"},
    )

    # --- tokens ---
    REFRESH_TOKEN_REUSED = (
        "refresh_token_reused",
        EventGroup.TOKENS,
        "Refresh token reused",
        "A rotated refresh token came again: its family is dead.",
        (Fact.SUB, Fact.CLIENT),
        (Fact.SESSION, Fact.CONNECTION, *_REQUEST),
        {
            "family": "the family of tokens, by its public id",
            "newest": "the generation of its newest token",
            "generation": "the generation of the token that came",
        },
    )
    REFRESH_TOKEN_STOLEN = (
        "refresh_token_stolen",
        EventGroup.TOKENS,
        "Refresh token stolen",
        "A refresh token came from another application than its own, which is the one named: its family is dead.",
        (Fact.SUB, Fact.CLIENT),
        (Fact.SESSION, Fact.CONNECTION, *_REQUEST),
        {"family": "the family of tokens, by its public id", "newest": "the generation of its newest token"},
    )
    REFRESH_TOKEN_REVOKED = (
        "refresh_token_revoked",
        EventGroup.TOKENS,
        "Refresh token revoked",
        "A person took an application the right to stay signed in.",
        (Fact.SUB, Fact.CLIENT, Fact.ACTOR),
        _REQUEST,
        {"family": "the family of tokens, by its public id"},
    )
    APPLICATION_REMOVED = (
        "application_removed",
        EventGroup.TOKENS,
        "Application removed",
        "A person took an application everything that it may: consent, refresh tokens, access tokens, and its part of sessions.",
        (Fact.SUB, Fact.CLIENT, Fact.INITIATOR, Fact.ACTOR),
        _REQUEST,
        {
            "scopes": "what the consent allowed",
            "families": "how many families of refresh tokens ended",
            "sessions": "in how many sessions it took part",
            "event": "the sign-out (`LogoutEvent`), null if it was signed in nowhere",
        },
    )
    AUTHORIZATION_CODE_REPLAYED = (
        "authorization_code_replayed",
        EventGroup.TOKENS,
        "Authorization code replayed",
        "A code that had been used came again: what it made is dead.",
        (Fact.CLIENT,),
        (Fact.SESSION, Fact.SUB, Fact.CONNECTION, *_REQUEST),
    )

    # --- connection ---
    CONNECTION_CHANGED = (
        "connection_changed",
        EventGroup.CONNECTION,
        "Connection changed",
        "Somebody made, changed, opened, closed or deleted a connection.",
        (Fact.CONNECTION, Fact.ACTOR),
        _REQUEST,
        {"changes": "each option from what to what; secrets have no value, certificates are fingerprints"},
    )
    UNIVERSAL_LOGOUT_SUCCEEDED = (
        "universal_logout_succeeded",
        EventGroup.CONNECTION,
        "Universal logout succeeded",
        "A Global Token Revocation request was obeyed: everything of a person has ended.",
        (Fact.SUB, Fact.CONNECTION, Fact.INITIATOR, Fact.ACTOR),
        _REQUEST,
        {
            "event": "the sign-out, null if nothing was there to end",
            "sessions_ended": "how many sessions",
            "accounts": "accounts that the request named, and others of the same person",
        },
    )
    UNIVERSAL_LOGOUT_FAILED = (
        "universal_logout_failed",
        EventGroup.CONNECTION,
        "Universal logout failed",
        "A Global Token Revocation request was refused.",
        (Fact.CONNECTION, Fact.ACTOR),
        _REQUEST,
        {"status": "the answer's status", "reason": "why, in words"},
    )

    SIGNAL_RECEIVED = (
        "signal_received",
        EventGroup.CONNECTION,
        "Shared signal received",
        "A security event of an identity provider was believed, and did what the connection's table says.",
        (Fact.CONNECTION, Fact.ACTOR),
        (Fact.SUB, Fact.INITIATOR, *_REQUEST),
        {
            "type": "the type of the event",
            "subject": "whom it named, and in which format",
            "effect": "what was done",
            "reason": "why that was done, or nothing",
            "jti": "the id of the security event token",
            "event": "the sign-out, null if nothing ended",
            "sessions": "how many sessions ended or have to be proved again",
        },
    )
    SIGNAL_REFUSED = (
        "signal_refused",
        EventGroup.CONNECTION,
        "Shared signal refused",
        "What was sent as a security event of an identity provider was not believed, or could not be read.",
        (Fact.CONNECTION, Fact.ACTOR),
        _REQUEST,
        {"error": "the error code of RFC 8935", "reason": "why, in words"},
    )
    SIGNAL_STREAM_CHANGED = (
        "signal_stream_changed",
        EventGroup.CONNECTION,
        "Signal stream changed",
        "Somebody connected or disconnected the stream of an identity provider's events, or it changed its state itself.",
        (Fact.CONNECTION, Fact.ACTOR),
        _REQUEST,
        {"stream": "its id at the identity provider", "status": "connected, disconnected, enabled, paused, disabled"},
    )
    PROVISIONED = (
        "scim_written",
        EventGroup.CONNECTION,
        "Provisioned",
        "The source of a connection (SCIM) made, changed, reactivated or deleted a person, or a group.",
        (Fact.CONNECTION, Fact.ACTOR),
        (Fact.SUB, *_REQUEST),
        {
            "act": "`created`, `changed`, `reactivated`, `deleted`, `group created`, `group renamed`, `group deleted` or `members left out`",
            "credential": "the token's id, or the application that wrote",
            "id": "the person's id in SCIM",
            "attributes": "which attributes changed; not their values",
            "group": "the group's name",
            "before": "the group's name before",
            "left_out": "how many members are nobody here",
        },
    )
    DEPROVISIONED = (
        "scim_deprovisioned",
        EventGroup.CONNECTION,
        "Deprovisioned",
        "The source of a connection (SCIM) says that a person must be out: they are blocked and everything of them has ended.",
        (Fact.SUB, Fact.CONNECTION, Fact.INITIATOR, Fact.ACTOR),
        _REQUEST,
        {
            "event": "the sign-out, null if nothing was there to end",
            "sessions_ended": "how many sessions",
            "why": "`active is false`, `deleted at the source` or the group that is required",
        },
    )
    PROVISIONING_REFUSED = (
        "scim_refused",
        EventGroup.CONNECTION,
        "Provisioning refused",
        "A write by SCIM with a valid token was refused, and nothing was changed.",
        (Fact.CONNECTION, Fact.ACTOR),
        _REQUEST,
        {"status": "the answer's status", "reason": "why, in words", "what": "method and path"},
    )

    # --- configuration ---
    APPLICATION_CHANGED = (
        "application_changed",
        EventGroup.CONFIGURATION,
        "Application changed",
        "Somebody made, changed, switched off or deleted an application, or it replaced its own registration.",
        (Fact.CLIENT, Fact.ACTOR),
        _REQUEST,
        {"changes": "each setting from what to what; a secret has no value"},
    )
    TENANT_CHANGED = (
        "tenant_changed",
        EventGroup.CONFIGURATION,
        "Tenant settings changed",
        "Somebody changed settings of the tenant: lifetimes, history, registration, logout URLs, looks.",
        (Fact.ACTOR,),
        _REQUEST,
        {"changes": "each setting from what to what"},
    )
    SIGNING_KEY_MOVED = (
        "signing_key_moved",
        EventGroup.CONFIGURATION,
        "Signing key moved",
        "A key that signs our tokens went on to its next state: by age, because somebody rotated, or because it was withdrawn.",
        (Fact.ACTOR,),
        _REQUEST,
        {
            "act": "`published`, `active`, `retiring`, `gone`, or `withdrawn`: gone before its tokens were",
            "kid": "the key, by its id",
            "algorithm": "what it signs with",
        },
    )
    SECRETS_RESEALED = (
        "secrets_resealed",
        EventGroup.CONFIGURATION,
        "Secrets resealed",
        "Somebody sealed secrets by another encryption key, or took away what a lost one had sealed.",
        (Fact.ACTOR,),
        (),
        {
            "act": "`resealed` or `discarded`",
            "key": "the encryption key that seals them now, or that was lost, by its id",
            "tables": "how many of which kind",
        },
    )
    SAML_KEY_ROTATED = (
        "saml_key_rotated",
        EventGroup.CONFIGURATION,
        "SAML key rotated",
        "Somebody took a step of the rotation of our SAML key: its successor is published, signs, or one of them is gone.",
        (Fact.ACTOR,),
        _REQUEST,
        {"step": "`publish`, `activate`, `withdraw` or `discard`", "fingerprint": "SHA-256 of the key's certificate"},
    )
    ROLE_CHANGED = (
        "role_changed",
        EventGroup.CONFIGURATION,
        "Role changed",
        "Somebody made, changed or deleted a role.",
        (Fact.ACTOR,),
        _REQUEST,
        {"role": "its name", "changes": "each part from what to what"},
    )
    EVENT_STREAM_CHANGED = (
        "event_stream_changed",
        EventGroup.CONFIGURATION,
        "Event stream changed",
        "Somebody made, changed, paused, resumed or deleted a stream of events, or had it told again.",
        (Fact.ACTOR,),
        (Fact.CLIENT, *_REQUEST),
        {
            "stream": "its id",
            "name": "what it is called",
            "change": "what was done",
            "reason": "why, if somebody said so",
        },
    )
    CLAIM_LEFT_OUT = (
        "claim_left_out",
        EventGroup.CONFIGURATION,
        "Claim left out",
        "A mapped claim of an application could not be computed and is left out; once, until its mappings change.",
        (Fact.CLIENT,),
        (),
        {"claim": "its name", "reason": "why, in words"},
    )

    # --- access ---
    GROUPS_CHANGED = (
        "groups_changed",
        EventGroup.ACCESS,
        "Groups changed",
        "Somebody came into groups or left them: as their connection says, or an administrator.",
        (Fact.SUB, Fact.ACTOR),
        (Fact.CONNECTION, *_REQUEST),
        {
            "added": "names of groups, fifty at most",
            "removed": "names of groups, fifty at most",
            "count": "how many of each",
            "source": "who says so: `upstream`, `scim` or `administrator`",
        },
    )
    GROUP_DELETED = (
        "group_deleted",
        EventGroup.ACCESS,
        "Group deleted",
        "A group is gone, and nobody is in it any more.",
        (Fact.ACTOR,),
        (Fact.CONNECTION, *_REQUEST),
        {"group": "its name", "people": "how many people were in it"},
    )
    ROLES_CHANGED = (
        "roles_changed",
        EventGroup.ACCESS,
        "Roles changed",
        "Somebody was given roles, or they were taken away.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
        {"added": "names of roles", "removed": "names of roles"},
    )
    ASSIGNMENT_CHANGED = (
        "assignment_changed",
        EventGroup.ACCESS,
        "Assignment changed",
        "A person was assigned to an application, or is not any more.",
        (Fact.SUB, Fact.CLIENT, Fact.ACTOR),
        _REQUEST,
        {"is_assigned": "whether they are now"},
    )
    ACCESS_LOST = (
        "access_lost",
        EventGroup.ACCESS,
        "Signed out of one application",
        "Somebody may not use an application any more: they are signed out there, and their session goes on.",
        (Fact.SESSION, Fact.SUB, Fact.CLIENT, Fact.INITIATOR, Fact.ACTOR),
        (Fact.CONNECTION,),
        {"event": "the sign-out (`LogoutEvent`)"},
    )

    ACCOUNT_BLOCKED = (
        "account_blocked",
        EventGroup.ACCESS,
        "Account blocked",
        "Somebody may not sign in any more, and everything of them has ended.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
    )
    ACCOUNT_UNBLOCKED = (
        "account_unblocked",
        EventGroup.ACCESS,
        "Account unblocked",
        "Somebody who was blocked may sign in again. What had ended stays so.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
    )
    ACCOUNT_DELETED = (
        "account_deleted",
        EventGroup.ACCESS,
        "Account deleted",
        "An account is gone, with everything of it.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
    )

    # --- administration ---
    INVITATION_CHANGED = (
        "invitation_changed",
        EventGroup.ADMINISTRATION,
        "Invitation",
        "Somebody was invited by mail, the mail was sent again, or the invitation was withdrawn or accepted.",
        (Fact.CONNECTION, Fact.ACTOR),
        (Fact.SUB, *_REQUEST),
        {
            "act": "`invited`, `sent again`, `withdrawn` or `accepted`",
            "invitation": "its number here; the address is not kept, as it is personal",
            "groups": "names of groups, fifty at most, that it gives or gave",
        },
    )
    ADMINISTERED = (
        "administered",
        EventGroup.ADMINISTRATION,
        "Administrator acted",
        "An administrator did something in the console. What it changed may have lines of its own beside.",
        (Fact.ACTOR,),
        (Fact.SESSION, Fact.SUB, Fact.CLIENT, Fact.CONNECTION, *_REQUEST),
        {
            "act": "what was pressed, or what a form changed",
            "object": "the kind of thing that it was done to",
            "id": "its number here",
            "name": "what it is called, if it is nobody's",
        },
    )
    API_OPERATION = (
        "api_operation",
        EventGroup.ADMINISTRATION,
        "Management API used",
        "A program, or a person with a permission, wrote by the Management API. What it changed may have lines of its own beside.",
        (Fact.ACTOR,),
        _REQUEST,
        {"operation": "method and path", "ids": "what the path named"},
    )
    PERSON_EDITED = (
        "person_edited",
        EventGroup.ADMINISTRATION,
        "Person edited",
        "An administrator changed what is written of a person. The values are not kept, as they are personal.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
        {"attributes": "which attributes changed"},
    )
    PEOPLE_IMPORTED = (
        "people_imported",
        EventGroup.ADMINISTRATION,
        "People imported",
        "A job wrote people of a file into a connection; it is completed or failed.",
        (Fact.ACTOR,),
        (Fact.CONNECTION,),
        {
            "job": "which, by its id",
            "inserted": "how many people are new",
            "updated": "how many were there and are changed",
            "failed": "how many rows became nobody",
            "reason": "why it failed as a whole, if it did",
        },
    )
    PEOPLE_EXPORTED = (
        "people_exported",
        EventGroup.ADMINISTRATION,
        "People exported",
        "Somebody wrote people into a file. The line is there before the file is.",
        (Fact.ACTOR,),
        (Fact.CONNECTION,),
        {
            "format": "`json` or `csv`",
            "hashes": "whether hashes of passwords and keys of second factors are in it",
            "job": "which, where the Management API asked",
        },
    )
    POWERS_CHANGED = (
        "powers_changed",
        EventGroup.ADMINISTRATION,
        "Powers changed",
        "A superuser changed what somebody may do in the console.",
        (Fact.SUB, Fact.ACTOR),
        _REQUEST,
        {"changes": "roles, groups and raw permissions from what to what"},
    )


def kind(stored: str) -> EventType | None:
    """None: a later version wrote it."""
    return _KNOWN.get(stored)


def words(stored: str) -> str:
    """What a kind is called. Of one that this version does not know, its name as it is stored."""
    return known.words if (known := kind(stored)) else stored.replace("_", " ").capitalize()


def strange(event: EventType, facts: Iterable[str], data: Iterable[str]) -> list[str]:
    """What such a line should not hold, or should and does not (with a minus)."""
    found, named = set(facts), set(data)
    wrong = found - event.facts - event.others | {f"data.{key}" for key in named - event.data.keys()}
    return sorted({*wrong, *(f"-{fact}" for fact in event.facts - found)})


def called(typed: str) -> list[EventType]:
    """The kinds whose name is what somebody typed, as it is stored or in words."""
    spoken = _spoken(typed)
    return [event for event in EventType if spoken in (_spoken(event), _spoken(event.words))]


def of_group(group: str) -> list[EventType]:
    return [event for event in EventType if event.group == group]


def _spoken(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ").strip()


_KNOWN = {event.value: event for event in EventType}
