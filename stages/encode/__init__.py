"""Stages that turn images and texts into embeddings and scores."""
