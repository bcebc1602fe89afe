"""Sign-in to applications that speak SAML: their requests, and the responses that answer them. Ends no session."""
