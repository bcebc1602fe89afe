"""SAML 2.0 for whichever role: XML that others wrote, signatures, names, bindings, our key. It never knows who is at the other end."""
