"""Interests to words: statements about a user in, grounded sentences out."""
