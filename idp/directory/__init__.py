"""Groups, roles, and who may use which application: what they may be, who says so, what somebody has. Never touches sessions or tokens."""
