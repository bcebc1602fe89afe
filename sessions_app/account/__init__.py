"""What people do with their own account: passwords, and the mails that it takes."""
