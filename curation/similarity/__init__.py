"""Which hashes are close to each other, and what belongs together because of it."""
