"""Checks of a deployment: each gives findings, of which each is one line with its mend."""
