"""People by the thousand: imported and exported in Auth0's format, as jobs that say how far they are.

Whoever may start one is for the caller to decide. Sessions are not begun or ended here.
"""
