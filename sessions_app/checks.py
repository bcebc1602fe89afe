"""System checks: a bad configuration stops the start with a sentence that names it."""
