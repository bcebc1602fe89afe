"""`python -m idp.serving`: the web server. With several workers this process keeps them alive, each with the same socket."""

from __future__ import annotations

import argparse
import os
import socket
import ssl
import sys
from pathlib import Path

import uvloop
from django.conf import settings
from django.utils.module_loading import import_string

from idp import processes
from idp.serving import limits
from idp.serving.server import Server


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.socket is None and arguments.workers > 1:
        _keep_alive(arguments)
    else:
        _serve(arguments)


def _serve(arguments: argparse.Namespace) -> None:
    listener = _listen(arguments) if arguments.socket is None else socket.socket(fileno=arguments.socket)
    server = Server(import_string(arguments.application), arguments.threads, limits.connections())
    uvloop.run(server.run(listener, _tls(arguments)))


def _keep_alive(arguments: argparse.Namespace) -> None:
    with _listen(arguments) as listener:
        listener.set_inheritable(True)
        argv = [sys.executable, "-m", "idp.serving", *sys.argv[1:], "--socket", str(listener.fileno())]
        names = [f"web {number}" for number in range(1, arguments.workers + 1)]
        children = [processes.Child(name, argv, pass_fds=(listener.fileno(),)) for name in names]
        processes.Supervisor(children, lambda line: print(line, file=sys.stderr, flush=True)).run()  # noqa: T201


def _listen(arguments: argparse.Namespace) -> socket.socket:
    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    return socket.create_server((arguments.host, arguments.port), family=family, backlog=1024)


def _tls(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    if arguments.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(arguments.certificate, arguments.key)
    return context


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m idp.serving", description=__doc__)
    parser.add_argument("--application", default="idp.wsgi.application")
    parser.add_argument("--host", default=settings.BIND)
    parser.add_argument("--port", type=int, default=settings.PORT)
    parser.add_argument("--workers", type=int, default=settings.WEB_WORKERS)
    parser.add_argument("--threads", type=int, default=settings.WEB_THREADS)
    parser.add_argument("--certificate", type=Path, help="PEM; with it and --key this server speaks TLS itself")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--socket", type=int, help=argparse.SUPPRESS)  # of the process that keeps us alive
    return parser


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
    main()
