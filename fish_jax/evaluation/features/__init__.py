"""The feature space of the scores: an encoder that knows torn images, and wavelets."""
