"""What is issued to applications, to where, and what it is worth later. Every token has a parent whose death is its own."""
