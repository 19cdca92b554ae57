"""What is written and read at the boundaries: columns, outcomes, records. Imports nothing of the project."""
