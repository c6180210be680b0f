"""Metrics: pure functions of images or of their features."""
