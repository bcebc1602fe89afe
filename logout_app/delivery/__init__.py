"""Telling receivers of an end. It ends nothing: what must be told was planned in the statement of the act (`fanout`)."""
