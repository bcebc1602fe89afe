"""The second verb: sessions that must be proved again before they open anything further. It ends nothing; the door does."""
