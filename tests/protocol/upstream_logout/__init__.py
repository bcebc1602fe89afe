"""Sign-outs between us and the identity providers upstream, in both directions."""
