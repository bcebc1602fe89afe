"""A single-logout application of one's own, on `GET /user/ssodata`: the way that came before the sign-out page."""
