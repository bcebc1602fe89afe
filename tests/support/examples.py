"""For tests by hypothesis: on a machine three times slower an example takes its time, and that is no failure."""

from hypothesis import HealthCheck, settings

untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
