"""The commands of `convex-analysis`, one a file, and what they share."""
