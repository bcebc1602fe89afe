"""What somebody asks on the command line at three in the morning: who is meant, and what is broken. Reads only."""
