"""Applications and the APIs that their tokens are for."""
