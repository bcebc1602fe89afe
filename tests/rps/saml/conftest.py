"""The world of all relying parties, as providers of SAML are furnished in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rps.conftest import World
from tests.rps.saml.providers import AUTHORITY, Providers


@pytest.fixture(scope="package")
def providers(world: World) -> Iterator[Providers]:
    """In a folder that Apache's own account may read: pytest closes its folders whenever another run begins."""
    with tempfile.TemporaryDirectory(prefix="curfew-saml-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Providers(world.issuer, folder, world.ports, world.authority, world.folder / AUTHORITY)
