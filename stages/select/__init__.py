"""Exchanges that decide which rows stay."""
