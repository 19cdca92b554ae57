"""The recipe: its model, how it is loaded, and how its mistakes are told."""
