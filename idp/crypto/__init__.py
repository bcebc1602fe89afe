"""Keys that sign, secrets at rest, our own JWTs that come back, and what may be used once. It never decides what a token is worth."""
