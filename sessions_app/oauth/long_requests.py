"""Authorization requests that are too long to travel in addresses: a proxy may have 4 kB for all headers of an answer.

Such a request waits for its sign-in in a row of ours, and the login page leads on to a reference to it. A short one needs no
row: it travels as it is. Both are bound to the browser by the same marker, which is a part of the request.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_noop

from idp.http.requests import RequestFacts
from idp.limits import limiter
from idp.protocol.errors import InvalidRequest, TemporarilyUnavailable
from idp.protocol.opaque import digest, new_secret
from idp.protocol.params import Params, from_urlencoded
from sessions_app.models import FlowState
from sessions_app.protocol.authorization import KEPT

LIFETIME = timedelta(hours=1)  # as long as a marker
# Anybody may begin requests. This is an office where everybody signs in at nine, by an SDK that makes long ones.
OF_NETWORK = limiter.Limit("long-requests", 600, 300)


def keep(query: str, client_id: str, facts: RequestFacts, at: datetime) -> str:
    """The path that stands for this request from now on. Raises TemporarilyUnavailable for a network that has too many."""
    if limiter.count_failure(OF_NETWORK.key(limiter.prefix(facts.ip)), at) > OF_NETWORK.count:
        raise TemporarilyUnavailable(
            gettext_noop("Too many long requests from this network. Please try again in a few minutes.")
        )
    reference = new_secret()
    FlowState.objects.create(
        kind=FlowState.LONG_REQUEST,
        state_hash=digest(reference),
        data={"query": query},
        created_at=at,
        expires_at=at + LIFETIME,
    )
    return f"{reverse('authorize')}?{urlencode({'client_id': client_id, KEPT: reference})}"


def whole(query: str) -> str:
    """The query that this one stands for; the same if it is no reference. Raises InvalidRequest when it is too old."""
    if KEPT not in query:
        return query
    reference = from_urlencoded(query).get(KEPT, "")
    return _kept(reference) if reference else query


def whole_params(params: Params) -> Params:
    """The same of what is read already."""
    return from_urlencoded(_kept(params[KEPT])) if KEPT in params else params


def _kept(reference: str) -> str:
    rows = FlowState.objects.filter(
        kind=FlowState.LONG_REQUEST, state_hash=digest(reference), expires_at__gt=timezone.now()
    )
    found = rows.values_list("data", flat=True).first()
    if found is None:
        raise InvalidRequest("This sign-in was begun too long ago. Start again at the application.")
    return str(found["query"])
