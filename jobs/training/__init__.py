"""Trains dual encoders and captioners on WebDataset shards."""
