"""Pages from a visitor to a session: login, the way upstream and back, proving it again."""
