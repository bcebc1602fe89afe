"""The session itself: the cookie that is bound to it, its rows, who may take part, and what is deleted in the end."""
