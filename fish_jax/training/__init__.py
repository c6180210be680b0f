"""The training loop: images to devices, steps, logs, previews, checkpoints."""
