"""Drawn fish: the data set that needs no download."""
