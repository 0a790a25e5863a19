"""What shares one mask entry: a weight alone, N of M neighbouring weights, or a unit with all its weights."""
