"""Evaluation sets that training data must not contain: where they lie, and what is known of their images."""
