"""Carrying what is due to the platform, once."""
