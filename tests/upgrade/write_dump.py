"""Not a test of anything: writes the dump of this tree's version. `make release-dump` runs it on both kinds of database."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.core.management import call_command

from idp.models import Application
from idp.operations.version import version
from tests.support import rows
from tests.upgrade import filling, releases


@pytest.mark.django_db(transaction=True)
def test_write_the_dump_of_this_version(settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [releases.ENCRYPTION_KEY]
    with time_machine.travel(releases.AT, tick=False):
        call_command("migrate", verbosity=0)
        rows.one_of_each()
        filling.fill()
        Application.objects.filter(client_id="jwt-debugger").update(
            backchannel_logout_uri="https://jwt-debugger.example/backchannel"
        )
    assert filling.empty_tables() == []
    releases.file_of(version()).write_text(releases.dump())
