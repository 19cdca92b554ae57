"""Choosing rows by their place in an order, in memory that does not grow with the rows."""
