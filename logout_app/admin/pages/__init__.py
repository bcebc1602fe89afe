"""Pages of the admin beside its tables."""
