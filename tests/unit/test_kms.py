"""Encryption keys that a command unwraps: a real one (`examples/kms`), and commands that fail in every way that commands do."""

from __future__ import annotations

import subprocess
import threading
import time
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from idp.crypto import kms, sealing
from idp.operations import checks

ROOT = Path(__file__).parents[2]
KEY = "a-key-that-nobody-can-guess-0123456789"


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kms, "_unwrapped", {})
    monkeypatch.setattr(kms, "_failures", {})


@pytest.fixture
def openssl(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example with a key of its own; gives the key's path."""
    key = tmp_path / "kms.pem"
    make = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(key)]
    subprocess.run(make, check=True, capture_output=True)
    monkeypatch.setenv("KMS_KEY", str(key))
    settings.KMS_COMMAND = str(ROOT / "examples/kms/openssl.sh")
    return key


@pytest.fixture
def command(tmp_path: Path, settings):
    """Makes CURFEW_KMS_COMMAND a script of these lines, which may use $1."""

    def make(*lines: str) -> None:
        script = tmp_path / "kms.sh"
        script.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        script.chmod(0o700)
        settings.KMS_COMMAND = str(script)

    return make


def entry() -> str:
    out = StringIO()
    call_command("new_encryption_key", "--kms", stdout=out)
    return out.getvalue().strip()


def test_a_wrapped_key_seals_and_is_worth_nothing_without_the_service(openssl: Path, settings) -> None:
    wrapped = entry()
    settings.ENCRYPTION_KEYS = [wrapped, "an older key in clear"]
    envelope = sealing.seal("s3cret", "here")
    assert sealing.unseal(envelope, "here") == "s3cret"
    settings.ENCRYPTION_KEYS = ["an older key in clear", wrapped]
    assert sealing.unseal(envelope, "here") == "s3cret", "and behind another one it opens what it sealed"
    openssl.unlink()
    assert sealing.unseal(envelope, "here") == "s3cret", "this process has it"
    kms._unwrapped.clear()
    with pytest.raises(sealing.CannotUnseal, match="CURFEW_KMS_COMMAND unwrap ended with 1"):
        sealing.unseal(envelope, "here")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["echo 'access denied' >&2; exit 3"], "ended with 3: access denied"),
        (["exit 0"], "answered with 0 bytes"),
        (["head -c 70000 /dev/zero"], "answered with 70000 bytes"),
        (
            ["if [ $1 = wrap ]; then cat; else echo another-key-that-is-as-long-as-keys-are; fi"],
            "something else than it wrapped",
        ),
        (["if [ $1 = wrap ]; then cat; else head -c 4 /dev/urandom | tr '\\0-\\177' '\\377'; fi"], "no key of ours"),
        (["if [ $1 = wrap ]; then cat; else echo; fi"], "unwraps nothing"),
        (["if [ $1 = wrap ]; then cat; else echo None; fi"], "shorter than a key"),
    ],
)
def test_a_command_that_does_not_do_it_is_a_sentence(command, lines: list[str], words: str) -> None:
    command(*lines)
    with pytest.raises(CommandError, match=words):
        entry()


@pytest.mark.parametrize(
    ("setting", "keys", "words"),
    [
        ("/nowhere/kms", ["kms:AAAA"], "cannot be run"),
        ("", ["kms:AAAA"], "is empty"),
        ("cat", ["kms:?"], "not base64url"),
        ("cat 'kms", ["kms:AAAA"], "cannot be read"),
    ],
)
def test_what_cannot_be_unwrapped_is_never_taken_for_a_key(settings, setting: str, keys: list[str], words: str) -> None:
    settings.KMS_COMMAND, settings.ENCRYPTION_KEYS = setting, keys
    with pytest.raises(sealing.CannotUnseal, match=words):
        sealing.seal("s3cret", "here")


def test_a_wrapped_key_without_a_command_stops_every_start(settings) -> None:
    settings.KMS_COMMAND, settings.ENCRYPTION_KEYS = " ", ["kms:AAAA"]
    assert [error.id for error in checks.check_values(None)] == ["idp.E007"]
    settings.KMS_COMMAND = "cat"
    assert checks.check_values(None) == []


@pytest.mark.parametrize("end", ["wait", "exit 0"])
def test_a_command_that_hangs_is_ended_with_its_children_and_not_asked_again_at_once(
    command, tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(kms, "DEADLINE", 0.5)
    command(f"echo x >> {tmp_path}/asked", f"sleep 300 & echo $! > {tmp_path}/child", end)
    settings.ENCRYPTION_KEYS = ["kms:AAAA"]
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(sealing.CannotUnseal, match=r"said nothing for 0\.5 seconds"):
            sealing.seal("s3cret", "here")
    assert time.monotonic() - began < 5
    assert (tmp_path / "asked").read_text() == "x\n"
    status = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    deadline = time.monotonic() + 10
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "its child lives on"
        time.sleep(0.02)


def test_threads_that_need_a_key_at_the_same_time_ask_once(command, tmp_path: Path, settings) -> None:
    command(f"echo x >> {tmp_path}/asked", "sleep 0.2", f"echo {KEY}")
    settings.ENCRYPTION_KEYS = ["kms:AAAA"]
    threads = [threading.Thread(target=sealing.seal, args=("s3cret", "here")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (tmp_path / "asked").read_text() == "x\n"
    assert sealing.key_ids() == list(sealing._derive((KEY,)))
