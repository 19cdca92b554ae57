"""Stages that write captions for images."""
