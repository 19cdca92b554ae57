"""Looking after the folder of a run: what belongs to it, whether it is whole, what can go, and moving it."""
