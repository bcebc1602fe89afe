"""OpenID Connect upstream: any provider, and what Okta, Google, Entra ID and ADFS do in their own way."""
