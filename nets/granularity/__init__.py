"""What shares one mask entry: a weight, N of M neighbours, a block, or a unit with all its weights."""
