"""Input that is not keyed by user: each event written again under its user's id, once."""
