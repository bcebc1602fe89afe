"""The tenant: what an administrator configures, as one cached snapshot, and the tenant file that is applied to it.

It never decides what an application or a connection may be: their rulebooks do.
"""
