"""The door, and what leads to it. Nothing here waits for a network: what must be told is written down, for `delivery`."""
