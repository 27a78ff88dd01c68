"""Training: steps, fits, streams, checkpoints."""
