"""Encoders of videos."""
