"""The demonstration: a sample catalogue, simulated viewers, and a report that judges the slates."""
