"""Single logout of applications that speak SAML: what they ask, what they are asked in a browser, and what they are answered. Ends sessions at the door only."""
