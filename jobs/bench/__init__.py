"""Benchmarks: each prints one JSON line last. No tests: nothing fails for being slow."""
