"""OpenID Provider Commands (draft 02): which act tells applications what becomes of the account that somebody has there.

It ends nothing and writes no rows but those of the outbox; what is sent, and what an answer means, is its channel's.
"""
