"""One-time tokens that were used, however long the names are that others gave them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from idp.crypto.spent import spend

pytestmark = pytest.mark.django_db
ISSUER = f"https://issuer.example/{'i' * 978}"  # an issuer may have 1,000 characters


@pytest.mark.parametrize(
    ("issuer", "jti"), [(ISSUER, "1"), ("short", "j" * 5000), (ISSUER, "j" * 5000), ("é" * 1000, "1")]
)
def test_long_names_are_told_apart_and_good_once(issuer, jti):
    until = timezone.now() + timedelta(minutes=5)
    assert spend("gtr", issuer, jti, expires_at=until)
    assert not spend("gtr", issuer, jti, expires_at=until)
    assert spend("gtr", f"{issuer}x", jti, expires_at=until)
    assert spend("gtr", issuer, f"{jti}x", expires_at=until)
    assert spend("saml", issuer, jti, expires_at=until)
