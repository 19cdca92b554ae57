"""Conditions that a recipe states in SQL."""
