"""SCIM 2.0: what an identity provider writes of its people and groups. Store and rules are ours, the protocol's engine is
scim2-server's. Nothing here ends a session: `person_deprovisioned` (idp/signals.py) says that somebody must be out."""
