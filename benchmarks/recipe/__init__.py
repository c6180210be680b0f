"""Measurements of the recipe, `configs/best.py`, and of what it was before it grew."""
