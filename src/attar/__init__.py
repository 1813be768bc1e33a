"""Attar distils what a strong language model knows into a small dataset, trains on it, and measures what it was worth."""

import logging

logging.getLogger("attar").addHandler(logging.NullHandler())  # a library says nothing unless it is asked to
