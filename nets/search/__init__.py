"""The search for a ticket: what methods work with, criteria, rounds, regrowth."""

from nets.search.search import Found, Search, Wanted

__all__ = ["Found", "Search", "Wanted"]
