"""A single-page application without libraries: PKCE by `fetch`, renewal in a hidden frame."""
