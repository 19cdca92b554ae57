"""For all tests: examples of properties are the same in every run, and a slow machine fails none."""

from hypothesis import settings

settings.register_profile("repository", deadline=None, derandomize=True)
settings.load_profile("repository")
