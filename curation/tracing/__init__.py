"""Traces: what was done with each part when, on which worker."""
