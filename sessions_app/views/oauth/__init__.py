"""Endpoints that applications and their people meet: /authorize, consent, devices, tokens, UserInfo."""
