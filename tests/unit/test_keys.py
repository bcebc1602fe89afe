from datetime import timedelta

import pytest
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import KeySet

from idp.crypto import keys
from idp.models import SigningKey

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_what_we_sign_verifies_against_what_we_publish(algorithm):
    token = keys.sign({"iss": "x"}, algorithm=algorithm, typ="logout+jwt")
    decoded = jwt.decode(token, KeySet.import_key_set(keys.published()), algorithms=[algorithm])
    assert decoded.claims == {"iss": "x"}
    assert decoded.header["typ"] == "logout+jwt"


def test_published_keys_hold_nothing_private():
    keys.ensure()
    assert {"d", "p", "q"} & {name for key in keys.published()["keys"] for name in key} == set()


def test_rotation_publishes_before_it_signs_and_keeps_the_old_key_until_its_tokens_are_gone():
    keys.ensure()
    start = timezone.now() + keys.ROTATE_EVERY
    old = SigningKey.objects.get(algorithm="RS256", status="active").kid
    keys.rotate(start)
    assert SigningKey.objects.get(algorithm="RS256", status="active").kid == old
    assert keys.rotate(start + timedelta(minutes=1)) == []
    later = start + keys.JWKS_MAX_AGE
    keys.rotate(later)
    assert SigningKey.objects.get(algorithm="RS256", status="active").kid != old
    assert old in {key["kid"] for key in keys.published()["keys"]}
    keys.rotate(later + keys.LONGEST_TOKEN + keys.JWKS_MAX_AGE)
    assert old not in {key["kid"] for key in keys.published()["keys"]}
