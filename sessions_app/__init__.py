"""The life of a session: how it opens, who joins it, which tokens live with it. It never ends one: the door is in the app above."""
