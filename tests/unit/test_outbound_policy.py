"""Where outbound requests may go, as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.outbound.policy import check_address, check_url, is_public, rules_of
from tests.support.examples import untimed

PORTS = ("80", "443", "8080", "8443", "1024-65535")
RULES = rules_of(allow=[], ports=PORTS, own_origin="https://id.example.com")
INTRANET = rules_of(allow=["10.20.0.0/16", "127.0.0.0/8"], ports=PORTS, own_origin="http://localhost:8000")


@pytest.mark.parametrize(
    "url",
    [
        "https://rp.example/backchannel-logout",
        "https://rp.example:8443/x?tenant=a&b=c",
        "https://RP.Example./x",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
        "https://xn--bcher-kva.example/",
        "https://a_b.rp.example/",
        "https://1and1.example/",
        "https://id.example.com:8443/",
    ],
)
def test_public_https_urls_pass(url):
    assert check_url(url, RULES) is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://rp.example/", "https"),
        ("gopher://rp.example/", "https"),
        ("file:///etc/passwd", "https"),
        ("ftp://rp.example/", "https"),
        ("unix:/var/run/docker.sock", "https"),
        ("javascript:alert(1)", "https"),
        ("//rp.example/", "https"),
        ("rp.example", "https"),
        ("", "characters"),
        ("https://", "host name"),
        ("https:///x", "host name"),
        ("https://rp.example/\n", "characters"),
        ("https://rp.exa\tmple/", "characters"),
        ("https://rp.example\\@evil.example/", "characters"),
        ("https://bücher.example/", "characters"),
        ("https://①②⑦.0.0.1/", "characters"),
        ("https://user:password@rp.example/", "user name"),
        ("https://@rp.example/", "user name"),
        ("https://rp.example/#x", "fragment"),
        ("https://rp.example:0/", "port"),
        ("https://rp.example:99999/", "URL"),
        ("https://rp.example:x/", "URL"),
        ("https://[::1/", "URL"),
        ("https://rp..example/", "host name"),
        ("https://[2606:4700::1111]x/", "host name"),
        ("https://[2606:4700::1111].evil.example/", "host name"),
        ("https://[v1.a]/", "host name"),
        ("https://localhost.localdomain/", "127.0.0.1"),
        ("https://LOCALHOST.localdomain./", "127.0.0.1"),
        ("https://localhost6/", "127.0.0.1"),
        ("https://localhost6.localdomain6/", "127.0.0.1"),
        ("https://ip6-localhost/", "127.0.0.1"),
        ("https://-rp.example/", "host name"),
        ("https://rp%2eexample/", "host name"),
        (f"https://{'a.' * 130}example/", "host name"),
        ("https://[fe80::1%25eth0]/", "plain IP"),
        ("https://id.example.com/", "itself"),
        ("https://ID.example.com./admin/", "itself"),
        ("https://id.example.com:443/", "itself"),
    ],
)
def test_anything_else_is_refused(url, reason):
    assert reason in (check_url(url, RULES) or "")


@pytest.mark.parametrize(
    "port", [1, 22, 25, 53, 110, 143, 389, 465, 587, 636, 993, 3306, 5432, 6379, 9092, 11211, 27017]
)
def test_ports_where_something_else_listens_are_refused(port):
    assert "port" in (check_url(f"https://rp.example:{port}/", RULES) or "")


def test_an_operator_may_name_such_a_port_singly():
    rules = rules_of(allow=[], ports=["443", "6379"], own_origin="https://id.example.com")
    assert check_url("https://rp.example:6379/", rules) is None
    assert check_url("https://rp.example:8443/", rules) is not None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "1.2.3.4.5",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[::]",
        "127.1.",
        "a.1",
        "a.0x1",
        "08.08.08.08",
    ],
)
def test_no_numeric_spelling_of_a_private_address_passes(host):
    assert check_url(f"https://{host}/", RULES) is not None


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.5",
        "100.64.0.1",
        "127.0.0.1",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.216.34",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "not an address",
        "",
    ],
)
def test_special_addresses_are_refused(address):
    assert check_address(address, RULES) is not None


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:831::200e"])
def test_public_addresses_pass(address):
    assert check_address(address, RULES) is None
    assert "without TLS" in (check_address(address, RULES, cleartext=True) or "")


def test_an_operators_networks_open_them_and_nothing_else():
    assert check_address("10.20.3.4", INTRANET) is None
    assert check_address("10.20.3.4", INTRANET, cleartext=True) is None
    assert check_address("10.21.3.4", INTRANET) is not None
    assert check_address("::ffff:10.20.3.4", INTRANET) is not None
    assert check_url("http://10.20.3.4/", INTRANET) is None
    assert check_url("http://127.0.0.1:8001/", INTRANET) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_on_loopback_every_name_of_ours_is_ourselves(host):
    assert check_url(f"http://{host}:8000/api/v2/", INTRANET) is not None


def test_an_applications_allow_list_narrows_and_never_widens():
    rules = RULES.only_to(["RP.example", "10.0.0.1"])
    assert check_url("https://rp.example./x", rules) is None
    assert "outbound hosts" in (check_url("https://other.example/", rules) or "")
    assert "public" in (check_url("https://10.0.0.1/", rules) or "")
    assert RULES.only_to([]) is RULES


@pytest.mark.parametrize("bad", ["x", "443-", "-", "1-2-3"])
def test_ports_that_are_none_are_an_error(bad):
    with pytest.raises(ValueError, match=r".+"):
        rules_of(allow=[], ports=[bad], own_origin="https://id.example.com")


@untimed
@given(st.ip_addresses())
def test_what_is_public_is_unicast_of_the_internet(ip):
    if is_public(ip):
        assert ip.is_global
        assert not (ip.is_multicast)
        assert not (ip.is_private)
        assert not (ip.is_loopback)
        assert not (ip.is_link_local)
        assert not (ip.is_reserved)


@untimed
@given(st.text())
def test_no_text_breaks_the_check(text):
    check_url(text, RULES)
    check_url(f"https://{text}/", RULES)
