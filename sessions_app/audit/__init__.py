"""The audit trail: what happened to sessions, people and connections, as lines that nobody can change or take back.

`events` says which kinds of line there are and what each holds; `trail` writes one by the ORM, `sql` the text of one for a
statement that writes it with others; `heard` writes what the app below says by signals; `history` and `search` read;
`permit` lets the purge delete. Nobody else names the table, its columns or a kind of line as text.
It decides nothing: whoever acts says what they did, in the transaction in which they do it.
"""
