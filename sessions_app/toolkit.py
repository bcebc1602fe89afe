"""Every seam with django-oauth-toolkit."""

from oauth2_provider.oauth2_validators import OAuth2Validator


class CurfewValidator(OAuth2Validator):
    pass
