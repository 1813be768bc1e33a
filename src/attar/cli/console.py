"""How all commands print to standard output: `console` for tables and styled text, `print_plain` for text as it is."""

from rich.console import Console

console = Console(highlight=False, emoji=False)  # neither RUN:x: nor a model's text may become an emoji


def print_plain(text: str) -> None:
    """Print a line without markup and wrapping, so that it can be parsed or copied: JSON, paths, commands."""
    console.file.write(f"{text}\n")
