"""From a visitor to a session: what the login page offers, passwords, second factors, the way to an upstream and back.

It issues no token and knows an application only as what waits for the sign-in.
"""
