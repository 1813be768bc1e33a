"""The reasons of failed rows that the runner knows: an answer that was cut off, and failures that pass.

A row that failed because the server was down, slow or broken may succeed when it is asked again. Its reason ends in "(gave up
after 6 tries)", in every table that it reaches; so the mark survives stages that put words of their own before it.
"""

CUT_OFF = "cut off"
"""The end of the reason of an answer that reached its token limit."""
TRANSIENT = r"\(gave up after \d+ tr(?:y|ies)\)"
"""A regular expression that finds the mark of a failure that passes."""


def mark_transient(reason: str, tries: int) -> str:
    """The reason of a row that was tried this often, each time with a failure that may pass."""
    return f"{reason} (gave up after {tries} {'try' if tries == 1 else 'tries'})"
