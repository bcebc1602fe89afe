import pytest

from idp.crypto import sealing


def test_what_was_sealed_opens_at_its_own_place_only():
    envelope = sealing.seal("s3cret", "connection:a:client_secret")
    assert "s3cret" not in envelope
    assert sealing.unseal(envelope, "connection:a:client_secret") == "s3cret"
    with pytest.raises(sealing.CannotUnseal):
        sealing.unseal(envelope, "connection:b:client_secret")


def test_a_new_first_key_seals_and_the_old_one_still_opens(settings):
    settings.ENCRYPTION_KEYS = ["old"]
    old = sealing.seal("s3cret", "here")
    settings.ENCRYPTION_KEYS = ["new", "old"]
    assert sealing.unseal(old, "here") == "s3cret"
    assert sealing.seal("s3cret", "here").split(".")[1] != old.split(".")[1]
    settings.ENCRYPTION_KEYS = ["new"]
    with pytest.raises(sealing.CannotUnseal, match="CURFEW_ENCRYPTION_KEYS"):
        sealing.unseal(old, "here")
