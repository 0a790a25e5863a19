"""Compiled kernels: they see Gram matrices, columns, weights and bounds, never a penalty or a loss."""
