"""Presets: a Python file each, whose function `get_config` returns the configuration."""
