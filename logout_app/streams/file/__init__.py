"""Streams in the tenant file: how they are set up. Where one stands in the trail, and whom its receiver took out of it, is no configuration."""
