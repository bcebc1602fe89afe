"""What templates of every app may use. It changes how values are shown, and reads nothing."""
