"""The settings of the tenant: what they may be."""
