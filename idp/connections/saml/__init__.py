"""SAML 2.0 service provider: people who sign in at an identity provider that speaks SAML, ADFS included."""
