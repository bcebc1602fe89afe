"""The transport of everything but the fan-out: `requests`, for discovery, key sets, metadata and upstream token endpoints.

Each exchange resolves its host once, vets every answer, dials what was vetted and ends by one deadline, name resolution,
dripping headers and body included. No redirects, netrc, cookies or compression; a proxy only as the rules name one. The
certificate is checked against the name.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from idp import outbound
from idp.outbound import dial, gate, policy
from idp.outbound.failure import Failure
from idp.outbound.proxy import Opening

TIMEOUT = 5.0  # seconds of wall-clock time for one exchange
BODY_LIMIT = 1_000_000  # bytes; metadata of a federation may be large, a token answer never is


class BlockedTarget(requests.ConnectionError):
    """The policy refuses where this request would go."""


class OutboundBusy(requests.ConnectionError):
    """Nothing was sent: enough threads wait for other servers already."""


class AnswerTooLarge(requests.ConnectionError):
    """The answer is longer than any answer that we ask for."""


def is_silence(error: requests.RequestException) -> bool:
    """Whether nobody answered. Who answers too much, or with a certificate of somebody else, is there; and some are not asked."""
    if isinstance(error, BlockedTarget | AnswerTooLarge | OutboundBusy | requests.exceptions.SSLError):
        return False
    return isinstance(error, requests.Timeout | requests.ConnectionError) and "CERTIFICATE" not in str(error)


def session(
    *,
    timeout: float = TIMEOUT,
    body_limit: int = BODY_LIMIT,
    rules: policy.Rules | None = None,
    tls: ssl.SSLContext | None = None,
) -> requests.Session:
    """A guarded session. Failures are `requests.RequestException`; an answer's body is read when it is returned."""
    guarded = _Session()
    guarded.trust_env = False
    guarded.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    guarded.headers.update({"Accept-Encoding": "identity", "Connection": "close", "User-Agent": "Curfew"})
    adapter = _Adapter(timeout, body_limit, rules, tls or shared_tls())
    guarded.mount("https://", adapter)
    guarded.mount("http://", adapter)
    return guarded


class _SharedContext(ssl.SSLContext):
    """What many threads connect with at once: its ALPN is never set again.

    urllib3 sets it before each handshake, which frees what OpenSSL copies in another thread at that moment, without the GIL.
    """

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Nothing: see the class."""


@functools.cache
def shared_tls() -> ssl.SSLContext:
    """What `ssl.create_default_context()` gives, once per process: to read the authorities takes 20 ms."""
    context = _SharedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    ssl.SSLContext.set_alpn_protocols(context, ["http/1.1"])
    return context


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class _Exchange:
    """One request: the addresses that it may dial, and the clock that ends it."""

    def __init__(self, addresses: list[dial.Candidate], deadline: float, tunnels: list[bytes] | None = None) -> None:
        self._addresses, self._deadline, self._tunnels = addresses, deadline, tunnels
        self._fuse = dial.Fuse(deadline)

    @property
    def expired(self) -> bool:
        return self._fuse.blown

    def dial(self) -> socket.socket:
        """Raises OSError. With a proxy, its answer to the first request for a tunnel that it grants."""
        if self._tunnels is None:
            return self._dial()
        failure: OSError = OSError("no address")
        for request in self._tunnels:
            connection = self._dial()
            try:
                connection.sendall(request)
                opening = Opening()
                while not opening.is_open(connection.recv(4096)):
                    pass
            except (OSError, Failure) as error:
                connection.close()
                failure = OSError(str(error))
                continue
            return connection
        raise failure

    def _dial(self) -> socket.socket:
        failure: OSError = OSError("no address")
        for family, address in self._addresses:
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(max(0.01, self._deadline - time.monotonic()))
            try:
                connection.connect(address)
            except OSError as error:
                connection.close()
                failure = error
                continue
            self._fuse.watch(connection)
            return connection
        raise failure

    @contextlib.contextmanager
    def bounded(self) -> Iterator[None]:
        token = _current.set(self)
        try:
            with self._fuse:
                yield
        finally:
            _current.reset(token)


_current: ContextVar[_Exchange] = ContextVar("exchange")


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _current.get().dial()


class _Secure(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _current.get().dial()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _Adapter(HTTPAdapter):
    def __init__(self, timeout: float, body_limit: int, rules: policy.Rules | None, tls: ssl.SSLContext) -> None:
        self._timeout, self._body_limit, self._given_rules, self._tls = timeout, body_limit, rules, tls
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        self.poolmanager = PoolManager(num_pools=4, ssl_context=self._tls)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context decides, for everybody: `verify=False` and private bundles of a caller change nothing."""

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        parts = urlsplit(request.url or "")
        return {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}, {}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """One exchange, complete with its body."""
        try:
            with gate.place():
                return self._exchanged(request)
        except gate.NoPlace:
            raise OutboundBusy("too many requests wait for other servers", request=request) from None

    def _exchanged(self, request: requests.PreparedRequest) -> requests.Response:
        deadline = time.monotonic() + self._timeout
        exchange = self._exchange(request.url or "", deadline)
        with exchange.bounded():
            try:
                response = super().send(request, stream=True, timeout=self._timeout)
                body = response.raw.read(self._body_limit + 1, decode_content=False)
            except (requests.RequestException, HTTPError, OSError) as error:
                if exchange.expired or time.monotonic() >= deadline:  # the socket's own timeout may come first
                    raise requests.Timeout(f"no answer in {self._timeout} s", request=request) from error
                if isinstance(error, requests.RequestException):
                    raise
                raise requests.ConnectionError(error, request=request) from error
        if exchange.expired:  # a header block that was cut off parses as a complete one
            raise requests.Timeout(f"no answer in {self._timeout} s", request=request)
        response.raw.close()
        if len(body) > self._body_limit:
            raise AnswerTooLarge(f"more than {self._body_limit} bytes", request=request)
        response._content, response._content_consumed = body, True  # type: ignore[attr-defined]
        return response

    def _exchange(self, url: str, deadline: float) -> _Exchange:
        rules = self._given_rules or outbound.rules()
        if reason := policy.check_url(url, rules):
            raise BlockedTarget(f"{url} {reason}")
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or policy.DEFAULT_PORTS[parts.scheme]
        proxy = rules.proxy
        if proxy is None or not proxy.serves(parts.scheme, host):
            return _Exchange(self._vetted(host, port, rules, deadline, cleartext=parts.scheme == "http"), deadline)
        targets = [host] if proxy.resolves else self._addresses(host, port, rules, deadline)
        try:
            own = dial.resolved(proxy.host, proxy.port, deadline=deadline)
        except OSError as error:
            raise requests.ConnectionError(f"the proxy {proxy.host} does not resolve: {error}") from error
        return _Exchange(own, deadline, [proxy.connect_request(target, port) for target in targets])

    def _addresses(self, host: str, port: int, rules: policy.Rules, deadline: float) -> list[str]:
        return [str(address[0]) for _, address in self._vetted(host, port, rules, deadline)]

    def _vetted(
        self, host: str, port: int, rules: policy.Rules, deadline: float, *, cleartext: bool = False
    ) -> list[dial.Candidate]:
        """Every address of the host, each of them vetted."""
        try:
            return dial.vetted(host, port, rules, deadline=deadline, cleartext=cleartext)
        except dial.ForbiddenAddress as error:
            raise BlockedTarget(str(error)) from None
        except TimeoutError as error:
            raise requests.Timeout(f"{host} did not resolve in time") from error
        except OSError as error:
            raise requests.ConnectionError(f"{host} does not resolve: {error}") from error
