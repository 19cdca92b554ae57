"""What a person or a cluster starts: curation runs, training, evaluation, the demo."""
