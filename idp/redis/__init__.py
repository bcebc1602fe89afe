"""The Redis of REDIS_URL: one reading of its address for cache, broker and bell. Nothing that must not be lost is kept there."""
