"""The product's settings with a cheap password hash, as every other target of the harness has one: framework cost only."""

from idp.settings import *  # noqa: F403
from idp.settings import PASSWORD_HASHERS as PRODUCT_HASHERS

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *PRODUCT_HASHERS]
