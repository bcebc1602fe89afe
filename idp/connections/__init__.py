"""Where people come from: one module per protocol, each gives a verified Identity and opens nothing."""
