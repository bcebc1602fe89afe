"""Security events of an identity provider upstream (Shared Signals): whom to believe, whom they name, what each of them does.

It takes events and asks for streams; it never sends events, and ends sessions through the door only.
"""
