"""Attar distils what a strong language model knows into a small dataset, trains on it, and measures what it was worth."""
