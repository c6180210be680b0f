"""Files, processes and the terminal: what knows nothing of GANs."""
