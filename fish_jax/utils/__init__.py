"""Files, processes and the terminal: code that knows nothing of GANs."""
