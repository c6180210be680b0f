"""The pure core: networks and losses of a config, the training state, one update."""
