"""The describe worker: interests to descriptions in words."""
