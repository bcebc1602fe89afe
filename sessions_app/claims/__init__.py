"""What an application is told of a person: standard claims, groups, roles, and what its mappings make of them. Issues no token."""
