"""Compares losses or whole configurations under one protocol."""
