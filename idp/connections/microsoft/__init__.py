"""What Microsoft's servers speak beside the standards: ADFS with its choice of protocols, WS-Federation for signing out."""
