"""Work that takes longer than a request: imports of people, and mails that a worker sends."""
