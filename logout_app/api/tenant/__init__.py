"""What holds for everybody: connections, roles, settings, looks, keys, the trail as logs."""
