import pytest

from idp import configuration
from idp.models import Application, TenantSettings

pytestmark = pytest.mark.django_db


def test_a_change_is_seen_by_the_next_snapshot_and_an_unchanged_one_is_reused():
    app = Application.objects.create(name="One", client_id="one")
    first = configuration.current()
    assert first.application("one").name == "One"
    assert configuration.current() is first
    app.name = "Two"
    app.save()
    assert configuration.current().application("one").name == "Two"


def test_an_unknown_application_is_asked_for_again():
    TenantSettings.objects.create(pk=1)
    snapshot = configuration.current()
    assert snapshot.application("nobody") is None
