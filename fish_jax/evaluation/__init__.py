"""Scores of a trained generator, next to those of real images."""
