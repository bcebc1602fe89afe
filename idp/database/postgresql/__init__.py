"""The PostgreSQL backend: kept statements, silence of a server that went away."""
