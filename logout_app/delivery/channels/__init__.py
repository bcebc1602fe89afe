"""The ways to tell somebody that a session ended: a module each, which says who hears by it (in SQL for the statement that
plans rows, in Python for pages), where it goes, what is sent and what an answer means. `registry.py` lists them; nothing
outside asks which channel a row has. No channel ends a session, and none writes rows itself.
"""
