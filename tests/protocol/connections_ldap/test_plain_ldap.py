"""Sign-in against OpenLDAP: who is found, by which name, and what reaches the directory."""

from __future__ import annotations

import re
import statistics
import time
from unittest import mock

import pytest
from django.utils import timezone

from idp.connections import registry
from idp.connections.contract import UpstreamFault, UpstreamRefused
from idp.connections.ldap import conversation, directory, people
from idp.connections.ldap.protocol import LdapProtocol
from idp.models import Identity, User
from tests.protocol.connections_ldap.conftest import change, connect
from tests.support.upstreams.slapd import ADMIN, ADMIN_PASSWORD, PASSWORD, SUFFIX

pytestmark = pytest.mark.once

MARY = f"uid=mary,ou=people,{SUFFIX}"


def verify(connection, login, password=PASSWORD):
    return registry.PASSWORD_PROTOCOLS["ad"].verify(connection, login, password, timezone.now())


def operations(openldap, since):
    """What slapd was asked for since then, without connections and results."""
    time.sleep(0.05)
    return re.findall(r"op=\d+ (BIND dn=\"[^\"]*\" method|SRCH base=.*filter=.*|STARTTLS|EXT .*)", openldap.log[since:])


def test_a_person_of_the_directory_becomes_a_person_of_ours(plain):
    identity = verify(plain, "mary")

    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", identity.sub)
    user = identity.user
    assert user.user_id == f"ad|PlainLDAP|{identity.sub}"
    assert (user.email, user.email_verified) == ("mary@fabrikamcorp.com", False)
    assert (user.name, user.given_name, user.family_name, user.nickname) == ("Mary Major", "Mary", "Major", "mary")
    assert identity.profile["preferred_username"] == "mary"
    assert not user.has_usable_password()


def test_a_wrong_password_and_an_unknown_name_are_nobody(plain):
    assert verify(plain, "mary", "wrong") is None
    assert verify(plain, "nobody") is None
    assert not Identity.objects.exists()


@pytest.mark.parametrize(
    "login", ["*", "m*", "*)(uid=*))(|(uid=*", "mary)(&)", "a\\00b", "\\2a", "mary\0", "(uid=mary)"]
)
def test_what_was_typed_is_a_value_and_never_a_filter(plain, openldap, login):
    since = len(openldap.log)
    assert verify(plain, login) is None
    searches = [line for line in operations(openldap, since) if "scope=2" in line]
    assert not [line for line in searches if "=*)" in line or "uid=mary)" in line.replace("\\", "")]
    assert verify(plain, "mary") is not None


@pytest.mark.parametrize("login", ["mary,ou=people", "x,ou=admins,dc=corp", MARY, f"cn=curfew,{SUFFIX}", "mary+cn=x"])
def test_what_was_typed_is_no_part_of_a_distinguished_name(plain, openldap, login):
    """Binds go to names that the directory gave, or to one that nobody has."""
    since = len(openldap.log)
    assert verify(plain, login) is None
    binds = [line for line in operations(openldap, since) if line.startswith("BIND")]
    assert binds[0].startswith(f'BIND dn="{ADMIN}"')
    assert re.fullmatch(rf'BIND dn="cn=[0-9a-f]{{16}},{SUFFIX}" method', binds[1])


@pytest.mark.parametrize("password", ["", " ", "   \t", "\0", "a\0b", "\ud800", "x" * 513])
def test_passwords_that_would_bind_as_nobody_reach_no_server(plain, password):
    with mock.patch.object(directory, "Conversation") as started:
        assert verify(plain, "mary", password) is None
    started.assert_not_called()


@pytest.mark.parametrize("password", ["\u00ad", "\u200b\u2060", "\ufe0f"])
def test_a_password_of_characters_that_preparation_removes_does_not_become_empty(plain, openldap, password):
    """SASLprep (RFC 4013) maps these to nothing, and an empty password binds as anonymous."""
    since = len(openldap.log)
    assert verify(plain, "mary", password) is None
    assert 'BIND dn="" method' not in " ".join(operations(openldap, since))


def test_every_way_to_write_a_name_is_one_identity(plain):
    identities = {verify(plain, login).pk for login in ("mary", "MARY", " mary ", "mary@fabrikamcorp.com")}
    assert len(identities) == 1
    assert User.objects.count() == 1


@pytest.mark.parametrize("login", ["ma  ry", "\uff4dary", "ma\u00adry", "x\\mary", "PlainLDAP\\mary"])
def test_spellings_that_a_directory_takes_for_the_same_are_not(plain, login):
    """Each of them would be a name of its own for the limiter of sign-in."""
    assert verify(plain, login) is None


def test_a_name_that_was_given_to_somebody_else_is_theirs(plain, openldap):
    john = verify(plain, "john")
    assert Identity.objects.get(pk=john.pk).login == "john"
    Identity.objects.filter(pk=john.pk).update(login="mary")  # as if Mary's name had been John's

    mary = verify(plain, "mary")

    assert Identity.objects.get(pk=mary.pk).login == "mary"
    assert Identity.objects.get(pk=john.pk).login is None


def test_of_two_people_with_one_address_neither_comes_in(plain, openldap):
    ldif = "dn: uid=bob,ou=people,{0}\nchangetype: modify\nreplace: mail\nmail: {1}@fabrikamcorp.com\n"
    openldap.change(ldif.format(SUFFIX, "john"))
    try:
        assert verify(plain, "john@fabrikamcorp.com") is None
        assert verify(plain, "john") is not None
    finally:
        openldap.change(ldif.format(SUFFIX, "bob"))


def test_groups_are_the_values_of_the_group_attribute(plain, openldap):
    group = f"cn=timesheets,{SUFFIX}"
    openldap.change(f"dn: {group}\nchangetype: add\nobjectClass: groupOfNames\ncn: timesheets\nmember: {MARY}\n")
    try:
        assert verify(plain, "mary").profile["groups"] == [group]
        change(plain, group_attribute="departmentNumber")
        assert "groups" not in verify(plain, "mary").profile
    finally:
        openldap.change(f"dn: {group}\nchangetype: delete\n")


@pytest.mark.parametrize(
    ("attribute", "value", "says"),
    [("pwdReset", "TRUE", "change your password"), ("pwdAccountLockedTime", "000001010000Z", "is disabled")],
)
def test_accounts_that_an_administrator_closed_stay_out(plain, openldap, attribute, value, says):
    """Also where the server binds them all the same."""
    openldap.change(f"dn: {MARY}\nchangetype: modify\nadd: {attribute}\n{attribute}: {value}\n")
    try:
        assert verify(plain, "mary", "wrong") is None
        with pytest.raises(UpstreamRefused) as refusal:
            verify(plain, "mary")
        assert says in refusal.value.sentence
    finally:
        openldap.change(f"dn: {MARY}\nchangetype: modify\ndelete: {attribute}\n")


def test_an_unknown_name_costs_what_a_wrong_password_costs(plain, openldap):
    """The same operations, and no difference in time that could be told apart."""
    kinds, times = [], {}
    for login in ("mary", "nobody"):
        since = len(openldap.log)
        verify(plain, login, "wrong")
        kinds.append([line.split()[0] for line in operations(openldap, since)])
        times[login] = []
    for _ in range(15):
        for login, spent in times.items():
            begun = time.perf_counter()
            verify(plain, login, "wrong")
            spent.append(time.perf_counter() - begun)
    assert kinds[0] == kinds[1] == ["BIND", "SRCH", "BIND"]
    known, unknown = (statistics.median(times[login]) for login in ("mary", "nobody"))
    assert abs(known - unknown) < 0.02


def test_starttls_comes_before_anything_else_is_said(plain, openldap):
    change(plain, servers=[openldap.ldap], start_tls=True)
    since = len(openldap.log)
    assert verify(plain, "mary") is not None
    assert operations(openldap, since)[0].startswith("EXT oid=1.3.6.1.4.1.1466.20037")


def test_without_tls_no_password_is_sent(plain, openldap):
    change(plain, servers=[openldap.ldap], start_tls=False)
    since = len(openldap.log)
    with pytest.raises(UpstreamFault, match="would send passwords in clear"):
        verify(plain, "mary")
    assert operations(openldap, since) == []


def test_an_anonymous_search_is_possible(openldap, db):
    anonymous = connect("Open", servers=[openldap.ldaps], ca_certificate=openldap.ca, base_dn=SUFFIX)
    assert verify(anonymous, "mary") is not None


def test_a_user_filter_of_ones_own_decides_who_is_somebody(plain):
    change(plain, user_filter="(&(objectClass=inetOrgPerson)(mail={login})(!(uid=john)))")
    assert verify(plain, "mary@fabrikamcorp.com") is not None
    assert verify(plain, "mary") is None
    assert verify(plain, "john@fabrikamcorp.com") is None


def test_a_closed_service_account_is_said_to_the_administrator(openldap, db):
    broken = connect(
        "Broken", "wrong", servers=[openldap.ldaps], ca_certificate=openldap.ca, base_dn=SUFFIX, bind_dn=ADMIN
    )
    with pytest.raises(UpstreamFault, match=f"refuses the service account {ADMIN}") as fault:
        verify(broken, "mary")
    assert ADMIN not in fault.value.sentence
    assert "wrong" not in str(fault.value)


def test_a_base_that_is_not_there_is_said_to_the_administrator(plain):
    change(plain, base_dn=f"ou=nowhere,{SUFFIX}")
    with pytest.raises(UpstreamFault, match="has no entry ou=nowhere"):
        verify(plain, "mary")


def test_a_bind_without_name_or_password_is_refused_by_the_conversation_itself(plain, openldap):
    """Whoever calls it."""
    options = directory.options_of(plain)
    with conversation.Conversation(options.servers[0], options, deadline=time.monotonic() + 5) as server:
        for name, password in (("", b"x"), (MARY, b"")):
            with pytest.raises(ValueError, match="needs a name and a password"):
                server.bind(name, password)
        assert server.bind(ADMIN, ADMIN_PASSWORD.encode()).code == 0


def test_a_blocked_person_is_found_and_left_to_the_caller(plain):
    identity = LdapProtocol().verify(plain, "mary", PASSWORD, timezone.now())
    User.objects.filter(pk=identity.user_id).update(is_active=False)
    assert verify(plain, "mary").user.is_active is False


def test_a_number_of_thousands_of_digits_is_none():
    """Python refuses to read it, which would be an error page."""
    people.check_state(conversation.DirectoryEntry("uid=mary", {"useraccountcontrol": [b"9" * 5000]}), timezone.now())
