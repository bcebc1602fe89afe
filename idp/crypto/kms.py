"""Encryption keys that a key management service keeps: what stands in CURFEW_ENCRYPTION_KEYS is wrapped, and a command unwraps it.

The command gets `wrap` or `unwrap` as its last argument, the key on standard input, and answers on standard output with code 0.
It is run once per process and key; what it gave stays in this process's memory only.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import shlex
import signal
import subprocess
import threading
from time import monotonic
from typing import Literal

from django.conf import settings

PREFIX = "kms:"
DEADLINE = 10.0  # seconds for one answer of the command
PAUSE = 5.0  # seconds after a failure in which nobody asks again
LONGEST = 65_536  # bytes of an answer
SHORTEST_KEY = 32  # characters of an encryption key, which nothing slows down to try

_lock = threading.Lock()
_unwrapped: dict[tuple[str, str], str] = {}  # by command and entry
_failures: dict[tuple[str, str], tuple[float, str]] = {}


class KmsFailure(Exception):
    """A sentence: the command could not be run, said no, or said nothing in time."""


def new_entry() -> str:
    """A new key, wrapped, for CURFEW_ENCRYPTION_KEYS; proved by unwrapping it again. Raises KmsFailure."""
    key = secrets.token_urlsafe(32)
    entry = PREFIX + base64.urlsafe_b64encode(_run("wrap", key.encode())).decode()
    if unwrapped(entry) != key:
        raise KmsFailure("CURFEW_KMS_COMMAND unwraps something else than it wrapped")
    return entry


def unwrapped(entry: str) -> str:
    """The key in clear. Raises KmsFailure; for a moment after a failure without asking again."""
    asked = settings.KMS_COMMAND, entry
    with _lock:  # others wait for the answer instead of asking too
        if asked in _unwrapped:
            return _unwrapped[asked]
        failed, why = _failures.get(asked, (-PAUSE, ""))
        if monotonic() - failed < PAUSE:
            raise KmsFailure(why)
        try:
            _unwrapped[asked] = _unwrap(entry)
        except KmsFailure as failure:
            _failures[asked] = monotonic(), str(failure)
            raise
        return _unwrapped[asked]


def _unwrap(entry: str) -> str:
    try:
        wrapped = base64.b64decode(entry.removeprefix(PREFIX), altchars=b"-_", validate=True)
    except binascii.Error:
        raise KmsFailure("an entry of CURFEW_ENCRYPTION_KEYS begins with kms: and is not base64url") from None
    try:
        key = _run("unwrap", wrapped).decode("ascii").strip()
    except UnicodeDecodeError:
        raise KmsFailure("CURFEW_KMS_COMMAND unwraps something that no key of ours is") from None
    if not key:
        raise KmsFailure("CURFEW_KMS_COMMAND unwraps nothing")
    if len(key) < SHORTEST_KEY:  # "None", and other words of programs that found nothing and say so with code 0
        raise KmsFailure("CURFEW_KMS_COMMAND unwraps something shorter than a key")
    return key


def _run(what: Literal["wrap", "unwrap"], given: bytes) -> bytes:
    try:
        argv = shlex.split(settings.KMS_COMMAND)
    except ValueError as error:
        raise KmsFailure(f"CURFEW_KMS_COMMAND cannot be read: {error}") from error
    if not argv:
        raise KmsFailure("a key in CURFEW_ENCRYPTION_KEYS is wrapped, and CURFEW_KMS_COMMAND is empty")
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen([*argv, what], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)  # noqa: S603  the operator's own
    except OSError as error:
        raise KmsFailure(f"CURFEW_KMS_COMMAND cannot be run: {error}") from error
    try:
        answer, complaint = process.communicate(given, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        _kill_all(process)
        raise KmsFailure(f"CURFEW_KMS_COMMAND {what} said nothing for {DEADLINE:g} seconds") from None
    finally:
        _end(process)
    if process.returncode:
        words = complaint.decode("utf-8", "replace").strip().splitlines()
        last = "".join(character for character in (words or [""])[-1][:200] if character.isprintable())
        raise KmsFailure(f"CURFEW_KMS_COMMAND {what} ended with {process.returncode}{': ' * bool(last)}{last}")
    if not 0 < len(answer) <= LONGEST:
        raise KmsFailure(f"CURFEW_KMS_COMMAND {what} answered with {len(answer)} bytes")
    return answer


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """With whatever it started: a script's child holds our pipes, also when the script has gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _kill_all(process)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()
