"""Runs that can be found again, resumed to the bit and trusted: one folder a run, named by what it is."""
