"""What can be proved of ends: who was told what, when, with which answer, and what is not complete. Reads only: it ends, plans and sends nothing."""
