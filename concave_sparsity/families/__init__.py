"""The penalty families, one a file."""
