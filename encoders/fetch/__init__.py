"""Fetching of media references: allowed schemes and hosts, public addresses, caps on size and time."""

from encoders.fetch.fetcher import Fetcher
from encoders.fetch.request import FetchRequest

__all__ = ["FetchRequest", "Fetcher"]
