"""Each form of REDIS_URL beside real servers: the cache, the broker and the bell use one reading and verify alike."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import pytest
import trustme
from django.core.cache.backends.redis import RedisCache

from idp.redis import clients as redis_clients
from idp.redis import trial as redis_trial
from logout_app.delivery import bell, listener
from tests.support.receiver import wait_until
from tests.support.sentinels import Sentinels
from tests.support.servers import redis_program
from tests.support.tls_front import TlsFront

LIMITS = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0, "retry": None}


def cache_works(url: str) -> None:
    cache = RedisCache([url], {"OPTIONS": {"pool_class": "idp.redis.clients.CachePool", **LIMITS}})
    cache.set("one", {"two": 3}, 10)
    assert cache.get("one") == {"two": 3}


def broker_works(url: str) -> None:
    broker, tls, options = redis_clients.broker(url)
    with kombu.Connection(broker, ssl=tls or False, transport_options=options) as connection:
        queue = connection.SimpleQueue("trial")
        queue.put({"said": "hello"})
        message = queue.get(timeout=10)
        message.ack()
        assert message.payload == {"said": "hello"}
        queue.close()


def bell_works(url: str) -> None:
    asyncio.run(asyncio.wait_for(_ring(url), 20))


async def _ring(url: str) -> None:
    rung = asyncio.Event()
    listening = asyncio.create_task(listener.listen(url, bell.CHANNEL, rung.set))
    await rung.wait()  # it rings once by itself, when it listens
    rung.clear()
    await asyncio.to_thread(bell._Bell(url).ring)
    await rung.wait()
    listening.cancel()


USES = [cache_works, broker_works, bell_works]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(redis, authority: trustme.CA) -> Iterator[int]:
    """The port of a Redis that speaks TLS only, with a certificate for `localhost`."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    with TlsFront(tls, urlsplit(redis[1]).port or 0) as front:
        yield front.port


@pytest.mark.once
@pytest.mark.parametrize("works", USES)
def test_tls_works_with_the_authority_that_the_url_names(secure: int, authority, tmp_path: Path, works) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    works(f"rediss://localhost:{secure}/0?ssl_ca_certs={tmp_path}/ca.pem")


@pytest.mark.once
@pytest.mark.parametrize("works", USES)
def test_tls_without_verification_works_when_the_url_asks_for_it(secure: int, works) -> None:
    works(f"rediss://localhost:{secure}/0?ssl_cert_reqs=none")


@pytest.mark.once
@pytest.mark.parametrize("options", ["", "?ssl_ca_certs={ca}"], ids=["another authority", "another name"])
@pytest.mark.parametrize("works", [cache_works, broker_works])
def test_a_certificate_that_is_not_for_it_is_refused(secure: int, authority, tmp_path: Path, works, options) -> None:
    """The second has the right authority, and dials an address that the certificate does not name."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with pytest.raises(Exception, match="certificate verify failed"):
        works(f"rediss://127.0.0.1:{secure}/0{options.format(ca=tmp_path / 'ca.pem')}")


@pytest.mark.once
def test_the_bell_refuses_a_certificate_that_is_not_for_it(secure: int, caplog) -> None:
    bell._Bell(f"rediss://localhost:{secure}/0").ring()
    assert "certificate verify failed" in caplog.text
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(_ring(f"rediss://localhost:{secure}/0"), 3))


@pytest.mark.once
@pytest.mark.parametrize("works", USES)
def test_a_unix_socket_works(tmp_path: Path, works) -> None:
    path = tmp_path / "redis.sock"
    argv = [redis_program(), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        wait_until(path.exists, 30, "no socket")
        works(f"unix://{path}?db=3")
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    with Sentinels(tmp_path_factory.mktemp("sentinels")) as running:
        yield running


@pytest.mark.once
@pytest.mark.parametrize("works", USES)
def test_the_master_is_found_by_the_sentinels_that_answer(sentinels: Sentinels, works) -> None:
    works(sentinels.url)


def verdict(url: str) -> str:
    """Away on a busy machine, where a Sentinel may not answer in time."""
    try:
        redis_trial.try_once(url)
    except (redis_trial.NeverWorks, redis_trial.Away) as failure:
        return f"{type(failure).__name__}: {failure}"
    return ""


@pytest.mark.once
def test_a_master_that_no_sentinel_knows_never_works(sentinels: Sentinels) -> None:
    redis_trial.try_once(sentinels.url)
    known = sentinels.url.replace(f"127.0.0.1:{sentinels.nobody},", "")
    unknown = known.replace("=mymaster", "=another")
    wait_until(lambda: verdict(unknown) == "NeverWorks: no Sentinel knows a working master 'another'", 60)
    with pytest.raises(redis_trial.Away):  # the one that is away may know it
        redis_trial.try_once(sentinels.url.replace("=mymaster", "=another"))
