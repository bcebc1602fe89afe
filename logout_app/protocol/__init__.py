"""Rules of the specifications for ends: logout tokens, requests, redirects, retries, the breaker, as pure Python."""
