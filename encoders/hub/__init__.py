"""Encoders and describers from models in the `transformers` format, by hub name or local folder."""
