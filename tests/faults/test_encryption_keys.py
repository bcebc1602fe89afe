"""Encryption keys of real processes: a list that lost a needed key, one that is wrapped, and the way from the first to the second."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.rps.running import SEVERAL
from tests.support import template
from tests.support.nursery import run_in_bare
from tests.support.stack import ROOT, clean_environment

OLD, OTHER = "of-a-test-and-as-long-as-a-key-has-to-be-0123456789", "another-one-as-long-as-a-key-has-to-be-0123456789"
PREPARE = ["up", "--prepare-only"]


def test_a_start_without_a_needed_key_is_refused_until_everything_is_sealed_by_another(tmp_path: Path) -> None:
    """F-K07, F-K08: in the order in which an operator does it, with a key management service in the end."""
    kms = tmp_path / "kms.pem"
    make = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(kms)]
    subprocess.run(make, check=True, capture_output=True)
    env = {
        "ISSUER": "http://localhost:8000/",
        "SECRET_KEY": "of a test, and as long as a secret key has to be: 0123456789 abcdefghij",
        "CURFEW_DATA": str(tmp_path / "data"),
        "CURFEW_KMS_COMMAND": str(ROOT / "examples/kms/openssl.sh"),
        "KMS_KEY": str(kms),
    }
    template.begin_sqlite(tmp_path / "data" / "curfew.sqlite3")
    template.begin_files(tmp_path / "data")
    prepared = run(env, OLD, PREPARE, ["new_encryption_key", "--kms"])
    assert prepared.returncode == 0
    wrapped = prepared.stdout.strip().splitlines()[-1]
    refused = run(env, OTHER, PREPARE)
    assert refused.returncode != 0
    assert "Curfew cannot start: CURFEW_ENCRYPTION_KEYS lacks the key" in refused.stderr
    assert "signing keys (4)" in refused.stderr
    assert "Traceback" not in refused.stderr
    both = run(env, f"{wrapped},{OLD}", PREPARE, ["reseal", "--json"])
    assert json.loads(both.stdout[both.stdout.index("{") :])["sealed_anew"]["signing keys"] == 4, both.stderr
    assert run(env, wrapped, PREPARE).returncode == 0
    kms.unlink()
    without = run(env, wrapped, PREPARE)
    assert without.returncode != 0
    assert "Curfew cannot start: CURFEW_KMS_COMMAND unwrap ended with 1" in without.stderr


def run(env: dict[str, str], keys: str, *commands: list[str]) -> subprocess.CompletedProcess[str]:
    """By manage.py, or several in one process."""
    argv = ["manage.py", *commands[0]] if len(commands) == 1 else ["-c", SEVERAL, json.dumps(commands)]
    environment = {**clean_environment(), "DJANGO_SETTINGS_MODULE": "idp.settings", **env}
    environment["CURFEW_ENCRYPTION_KEYS"] = keys
    return run_in_bare(argv, environment)
