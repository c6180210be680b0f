"""Scores of a trained generator beside those of real images."""
