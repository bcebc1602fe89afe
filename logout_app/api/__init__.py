"""The Management API, `/api/v2`, in Auth0's shapes. No rules of its own: every write is an act that the admin has too, and
sessions end at the door. Imports no views."""
