"""What tickets are worth: comparisons, the matching test, controls, connectivity."""
