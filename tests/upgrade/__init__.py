"""What earlier releases left in a database, and this tree's migrations on it."""
