"""Files that are either whole or not there: atomic writes, checksummed tensors, append-only records."""
