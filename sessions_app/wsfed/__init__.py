"""Sign-in to applications that speak WS-Federation: what they ask, and the tokens that answer them. Ends no session."""
