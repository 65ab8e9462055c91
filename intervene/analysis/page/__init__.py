"""The interactive page of a comparison: one file that needs nothing else, and no network."""
