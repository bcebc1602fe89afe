"""Rules about text that people and others write: forms of names, directions, colours, what the databases keep."""
