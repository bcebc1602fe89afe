"""What people see that is the tenant's own: pictures, colours, texts, mails. Everything from outside is checked here and is never
markup."""
