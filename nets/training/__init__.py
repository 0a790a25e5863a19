"""One training: the loop and its hooks, flat vectors, optimisers, several devices, checkpoints."""
