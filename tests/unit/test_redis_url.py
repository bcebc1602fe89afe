"""REDIS_URL is read once, and what is wrong with it is said in a sentence that holds no password."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from idp import conf
from idp.redis import clients as redis_clients
from idp.redis import url as redis_url

VERIFIED = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://r", redis_url.Place(hosts=(("r", 6379),))),
        ("redis://r:7000/3", redis_url.Place(hosts=(("r", 7000),), db=3)),
        ("redis://r?db=3", redis_url.Place(hosts=(("r", 6379),), db=3)),
        ("redis://[::1]:7000", redis_url.Place(hosts=(("::1", 7000),))),
        ("redis://:a%2F%3B%40@r", redis_url.Place(hosts=(("r", 6379),), login={"password": "a/;@"})),
        ("redis://u:p@r", redis_url.Place(hosts=(("r", 6379),), login={"username": "u", "password": "p"})),
        ("rediss://r", redis_url.Place(hosts=(("r", 6379),), tls=VERIFIED)),
        (
            "rediss://r?ssl_cert_reqs=none",
            redis_url.Place(hosts=(("r", 6379),), tls={"ssl_cert_reqs": "none", "ssl_check_hostname": False}),
        ),
        (
            "rediss://r?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs=/ca.pem",
            redis_url.Place(hosts=(("r", 6379),), tls=VERIFIED | {"ssl_ca_certs": "/ca.pem"}),
        ),
        (
            "sentinel://:p@a,b:1/2?service_name=m&sentinel_password=s",
            redis_url.Place(
                hosts=(("a", 26379), ("b", 1)),
                db=2,
                service="m",
                login={"password": "p"},
                sentinel_login={"password": "s"},
            ),
        ),
        ("sentinels://a?service_name=m", redis_url.Place(hosts=(("a", 26379),), service="m", tls=VERIFIED)),
        ("unix:///run/redis.sock?db=1", redis_url.Place(path="/run/redis.sock", db=1)),
    ],
)
def test_each_form_says_where_redis_is(url: str, place: redis_url.Place) -> None:
    assert redis_url.parse(url) == place


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:6379", "must begin with redis://, rediss://, sentinel://, sentinels:// or unix://"),
        ("amqp://r", "must begin with"),
        ("redis://", "names no host"),
        ("redis://r:port", "has no valid host and port"),
        ("redis://r:0", "names no host"),
        ("redis://a,b", "only sentinel:// may"),
        ("redis://r/first", "a database that is no number"),
        ("redis://r?ssl_cert_reqs=none", "has the option ssl_cert_reqs; those of redis:// are db"),
        ("rediss://r?ssl_cert_req=none", "has the option ssl_cert_req;"),
        ("rediss://r?ssl_cert_reqs=never", "not required, optional or none"),
        ("rediss://r?ssl_check_hostname=perhaps", "not true or false"),
        ("sentinel://a,b", "needs ?service_name="),
        ("sentinel://a,?service_name=m", "names no host"),
        ("unix://?db=1", "names no socket"),
        ("redis://:hun/ter2@r", "a password the characters"),
        ("redis://:hun?ter2=1@r", "a password the characters"),
        ("redis://:hun#ter2@r", "a password the characters"),
    ],
)
def test_a_url_that_can_never_work_stops_the_start_with_a_sentence(monkeypatch, url: str, said: str) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(ImproperlyConfigured, match=r"^REDIS_URL ") as refused:
        conf.read_redis_url()
    assert said in str(refused.value)
    assert "ter2" not in str(refused.value)


def test_the_broker_verifies_what_the_cache_verifies() -> None:
    """Celery's own reading takes `rediss://` without options for TLS without verification."""
    for options in ("", "?ssl_cert_reqs=none", "?ssl_ca_certs=/ca.pem&ssl_check_hostname=false"):
        url, tls, _ = redis_clients.broker(f"rediss://:p%3B@r/1{options}")
        assert url == "redis://:p%3B@r:6379/1"
        assert tls == redis_url.parse(f"rediss://r{options}").tls


def test_tls_holds_for_the_sentinels_and_for_the_master() -> None:
    url = "sentinels://:p@a,b/1?service_name=m&sentinel_username=u&sentinel_password=s&ssl_ca_certs=/ca.pem"
    broker, tls, options = redis_clients.broker(url)
    assert broker == "sentinel://:p@a:26379/1;sentinel://:p@b:26379/1"
    assert tls == VERIFIED | {"ssl_ca_certs": "/ca.pem"}
    assert options["master_name"] == "m"
    of_sentinels = {"ssl": True, "username": "u", "password": "s", **tls}
    assert of_sentinels.items() <= options["sentinel_kwargs"].items()
    pool = redis_clients.pool(url)
    assert tls.items() <= pool.connection_kwargs.items()
    assert of_sentinels.items() <= pool.sentinel_manager.sentinel_kwargs.items()


def test_a_sentinel_that_is_away_is_not_asked_again_before_the_next() -> None:
    """redis-py would try it for six seconds at each connection, of which a worker makes several before its first task."""
    url = "sentinel://:secret@one,two/0?service_name=mymaster"
    assert redis_clients.broker(url)[2]["sentinel_kwargs"]["retry"] is None
    assert redis_clients.pool(url).sentinel_manager.sentinel_kwargs["retry"] is None
