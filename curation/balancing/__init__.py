"""Balancing: how often a text names each entry of a list of concepts, and which rows are kept for it."""
