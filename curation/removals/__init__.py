"""Takedowns: what is removed from a run's folder leaves it altogether, and never comes back."""
