"""Stages that give images their fingerprints."""
