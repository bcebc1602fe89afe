from __future__ import annotations

import pytest
from django.db.models import F, QuerySet
from django.utils import timezone

from idp.database.lookups import Given, Lookup
from idp.tenants import configuration
from sessions_app.models import AccessToken, SSOSession
from tests.support.factories import make_application, make_session, make_user

pytestmark = pytest.mark.django_db


def by_sid(sid: object) -> QuerySet[SSOSession]:
    return (
        SSOSession.objects.filter(sid=sid)
        .select_related("user", "connection", "identity")
        .annotate(config_version=configuration.VERSION, again=F("sid"))
    )


def values(instance: object) -> dict[str, object]:
    return {name: value for name, value in vars(instance).items() if name != "_state"}


def test_gives_what_the_queryset_gives():
    session = make_session(make_user())
    found, expected = Lookup(lambda: by_sid(Given("sid"))).get(sid=session.sid), by_sid(session.sid).get()
    assert found is not None
    assert values(found) == values(expected)
    assert values(found.user) == values(expected.user)
    assert values(found.connection) == values(expected.connection)
    assert found.identity == expected.identity
    assert (found._state.db, found._state.adding) == (expected._state.db, False)


def test_costs_one_statement_with_everything_that_was_selected(django_assert_num_queries):
    session, lookup = make_session(make_user()), Lookup(lambda: by_sid(Given("sid")))
    with django_assert_num_queries(1):
        found = lookup.get(sid=session.sid)
        assert found is not None
        assert found.user.user_id == session.user.user_id


def test_is_compiled_once_and_finds_another_row_the_next_time():
    user, compiled = make_user(), []
    first, second = make_session(user), make_session(user)

    def queryset() -> QuerySet[SSOSession]:
        compiled.append(1)
        return by_sid(Given("sid"))

    lookup = Lookup(queryset)
    assert [lookup.get(sid=row.sid) for row in (first, second, first)] == [first, second, first]
    assert len(compiled) == 1


def test_gives_none_when_no_row_matches_or_a_row_has_no_such_parent():
    lookup = Lookup(lambda: AccessToken.objects.filter(token_checksum=Given("checksum")))
    assert lookup.get(checksum="nothing") is None
    token = AccessToken.rows.create(
        token="", token_checksum="c" * 64, expires=timezone.now(), application=make_application()
    )
    found = lookup.get(checksum="c" * 64)
    assert found == token
    assert found is not None
    assert (found.user, found.family, found.session) == (None, None, None)


def test_refuses_to_run_without_a_value():
    with pytest.raises(KeyError):
        Lookup(lambda: by_sid(Given("sid"))).get(other="x")
