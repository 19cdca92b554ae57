"""Stages that turn URLs into images."""
