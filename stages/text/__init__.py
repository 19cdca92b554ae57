"""Stages that clean and judge alt-texts."""
