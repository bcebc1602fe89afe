"""Identity providers that tests sign in through: real ones as processes, and one of ours for answers that no real one gives."""
