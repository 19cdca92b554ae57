"""Sinks: what leaves a run, and how it is checked."""
