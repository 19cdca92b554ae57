"""Measures models on held-out shards: zero-shot classification, retrieval, exactness of captions."""
