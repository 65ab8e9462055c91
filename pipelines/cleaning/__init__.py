"""What of a store nothing needs, and what stands in the way of removing it."""
