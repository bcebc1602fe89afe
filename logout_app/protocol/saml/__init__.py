"""Rules of SAML at the end of a session: what applications answer, why we ask, and what a preflight finds."""
