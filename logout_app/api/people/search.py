"""What `q` finds among people."""

from __future__ import annotations

from django.db.models import Q

from idp.models import Connection, Identity
from idp.protocol.text import normal_forms
from logout_app.api.frame import lucene
from logout_app.api.frame.lucene import Term

EXACT = {"user_id": "user_id", "phone_number": "phone_number"}
OF_ACCOUNTS = {
    "identities.user_id": "sub",
    "identities.connection": "connection__name",
    "identities.provider": "connection__strategy",
}
LIKE = ("email", "name", "given_name", "family_name", "nickname")
TRUTHS = ("email_verified", "blocked")
FIELDS = [*LIKE, *EXACT, *OF_ACCOUNTS, *TRUTHS]


def people(typed: str) -> Q:
    """Everybody for nothing."""
    found = Q()
    for term in lucene.terms(typed, FIELDS):
        one = _condition(term)
        found &= ~one if term.negated else one
    return found


def _condition(term: Term) -> Q:
    if term.field in LIKE:
        found, how = Q(), "istartswith" if term.begins else "iexact"
        for spelling in normal_forms.spellings(term.value):
            found |= Q(**{f"{term.field}__{how}": spelling})
        return found
    how = "__startswith" if term.begins else ""
    if term.field in EXACT:
        return Q(**{f"{EXACT[term.field]}{how}": term.value})
    if term.field in OF_ACCOUNTS:
        accounts = Identity.objects.filter(**{f"{OF_ACCOUNTS[term.field]}{how}": term.value})
        if OF_ACCOUNTS[term.field] == "sub":  # of each connection by itself: so it stands in the index
            accounts = accounts.filter(connection__in=list(Connection.objects.values_list("pk", flat=True)))
        return Q(pk__in=accounts.values("user"))
    if term.field not in TRUTHS or term.value not in ("true", "false"):
        raise lucene.not_understood(FIELDS)
    wanted = term.value == "true"
    return Q(is_active=not wanted) if term.field == "blocked" else Q(email_verified=wanted)
