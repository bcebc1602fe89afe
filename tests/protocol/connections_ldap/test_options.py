"""The options of a directory, and what is said about wrong ones."""

from __future__ import annotations

import pytest

from idp.connections.ldap.options import problems, read

pytestmark = pytest.mark.once
GOOD = {"servers": ["ldaps://dc1.example.com"], "base_dn": "dc=example,dc=com"}


def test_the_least_that_is_needed_is_a_server_and_a_base():
    assert problems("ad", GOOD) == []
    options = read(GOOD)
    assert [str(server) for server in options.servers] == ["ldaps://dc1.example.com:636"]
    assert options.login_attributes == ("sAMAccountName", "userPrincipalName", "mail", "uid")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"servers": None}, "servers is missing"),
        ({"servers": []}, "servers is missing"),
        ({"servers": "ldaps://dc1"}, "servers is missing"),
        ({"servers": [7]}, "servers: 7 must look like"),
        ({"servers": ["ldaps://dc1"] * 9}, "servers may name at most 8"),
        ({"servers": ["ldap://dc1"]}, "would send passwords in clear"),
        ({"servers": ["ldap://dc1"], "start_tls": "yes"}, "would send passwords in clear"),
        ({"servers": ["https://dc1"]}, "must look like"),
        ({"servers": ["ldaps://"]}, "must look like"),
        ({"servers": ["ldaps://dc1:0"]}, "must look like"),
        ({"servers": ["ldaps://dc1:99999"]}, "must look like"),
        ({"servers": ["ldaps://dc1/dc=example"]}, "a scheme, a host and a port only"),
        ({"servers": ["ldaps://me:secret@dc1"]}, "a scheme, a host and a port only"),
        ({"servers": ["ldaps://[::1].evil.example"]}, "a scheme, a host and a port only"),
        ({"servers": ["ldapi://%2fvar%2frun%2fldapi"]}, "must look like"),
        ({"base_dn": ""}, "base_dn is missing"),
        ({"base_dn": "example.com"}, "base_dn: example.com is not a distinguished name"),
        ({"base_dn": 7}, "base_dn must be text"),
        ({"bind_dn": "curfew"}, "bind_dn: curfew is not a distinguished name"),
        ({"user_filter": "(uid=mary)"}, "user_filter must compare"),
        ({"user_filter": "(uid={login}*)"}, "user_filter must compare"),
        ({"user_filter": "(|(uid={login})(cn=x{login}))"}, "only as the whole value"),
        ({"user_filter": "(&(uid={login})"}, "user_filter is not a filter"),
        ({"group_attribute": "memberOf,cn"}, "group_attribute must be the name"),
        ({"ca_certificate": "-----BEGIN"}, "ca_certificate is not a certificate"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(change, says):
    (problem,) = set(problems("ad", {**GOOD, **change}))
    assert says in problem
    assert problem.endswith((".", ")."))
    with pytest.raises(ValueError, match=r"\.$"):
        read({**GOOD, **change})


@pytest.mark.parametrize("bind_dn", ["cn=curfew,dc=example,dc=com", "curfew@example.com", "EXAMPLE\\curfew"])
def test_a_service_account_has_one_of_three_forms(bind_dn):
    assert problems("ad", {**GOOD, "bind_dn": bind_dn}) == []


def test_starttls_makes_plain_addresses_good():
    options = read({**GOOD, "servers": ["ldap://dc1", "ldaps://[2001:db8::1]:3269"], "start_tls": True})
    assert [(server.port, server.tls) for server in options.servers] == [(389, False), (3269, True)]


def test_what_was_typed_is_escaped_once_and_once_only():
    options = read({**GOOD, "user_filter": "(|(uid={login})(mail={login}))"})
    assert options.filter_for("a*(b)\\\0{login}") == (
        "(|(uid=a\\2a\\28b\\29\\5c\\00{login})(mail=a\\2a\\28b\\29\\5c\\00{login}))"
    )
    assert options.filter_for_anybody() == "(|(uid=*)(mail=*))"
