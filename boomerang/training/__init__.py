"""Members in training: gradients, optimiser, batches, checkpoints, the member store."""
