"""Measurements of the recipe, `configs/best.py`."""
