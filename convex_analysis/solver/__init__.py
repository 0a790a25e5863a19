"""The solver: one active-set loop on models of the data fit, starts, stops and the local search."""
