"""Rows that lie far away: only the bytes of a span are fetched, into the store."""
