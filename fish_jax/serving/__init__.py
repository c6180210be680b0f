"""Trained generators for others: a web server that draws images, and exports to a file."""
