"""Generators and discriminators, built from the layer tables of a config."""
