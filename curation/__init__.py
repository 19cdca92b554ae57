"""The engine: recipes, plans, contracts, storage, runners, ledger. Knows no particular stage."""
