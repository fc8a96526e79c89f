"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# A machine that is busy must not fail a test: neither for one slow example nor for slow drawing.
settings.register_profile("penchant", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("penchant")
