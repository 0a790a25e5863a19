"""Masks in any training loop: `masking.Masking` through the optimiser's own hooks, `Hold` for retraining."""
