"""Connections in the admin: a form per strategy, what to paste where, and does it work. `logout_app.admin` completes and registers the page."""
