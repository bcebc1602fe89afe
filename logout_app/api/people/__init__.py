"""People as the Management API sees them: accounts, what they may, where they are signed in."""
