"""How often somebody may try: counters of guesses. What is guessed at, and what a failure means, is said by who asks."""
