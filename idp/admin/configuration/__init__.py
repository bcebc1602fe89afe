"""Pages of what holds for everybody here: the tenant and its APIs, the keys that sign. Acts on them are elsewhere."""

from idp.admin.configuration import keys, tenant  # noqa: F401  register their models
