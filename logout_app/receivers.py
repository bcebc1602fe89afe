"""Signals from below -> the door."""
