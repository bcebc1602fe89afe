"""The tenant file beside its entries: rows that it names, what is removed when it is pruned, sections of ours, and the export.

What an entry may say is read by the modules one floor up; who may be what is for the rulebooks.
"""
