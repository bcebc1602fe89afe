"""Global Token Revocation: an identity provider upstream says that somebody is to be signed out. Whom to believe, whom it names."""
