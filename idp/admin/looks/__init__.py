"""Settings of what people see and read: pictures and colours with a preview, texts per language, mails, and whether mail is sent."""
