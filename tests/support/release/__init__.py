"""What makes and checks a release: `make audit`, `make release`. Nothing of it is installed."""
