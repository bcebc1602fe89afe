"""Traces, for operators who ask for them by OpenTelemetry's own variables. Callers know `switch.py` only; `sdk.py` alone
imports OpenTelemetry, and nobody imports it while nothing is asked for."""
