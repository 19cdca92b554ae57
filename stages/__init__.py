"""The steps of recipes: one file per stage or exchange, in a folder per kind, and one catalogue."""
