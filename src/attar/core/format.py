"""How durations and amounts of money are written for people: on terminals, on the report page and in dataset cards."""


def format_seconds(seconds: float) -> str:
    """99.5 s, 12.0 min or 3.5 h: one decimal, in the unit that keeps the number short."""
    if seconds < 100:
        return f"{seconds:,.1f} s"
    return f"{seconds / 60:,.1f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"


def format_dollars(dollars: float) -> str:
    """$1,234.50; amounts below one dollar have four decimals, because requests to models often cost less than a cent."""
    return f"${dollars:,.2f}" if dollars >= 1 or not dollars else f"${dollars:.4f}"
