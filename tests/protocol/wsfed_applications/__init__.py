"""Applications that speak WS-Federation."""
