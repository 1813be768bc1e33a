"""From verdicts to rows: the kept rows of a table."""

from attar.errors import DataError
from attar.stage import aligned
from attar.table import Table


@aligned
def rows(table: Table, verdicts: Table) -> Table:
    """any, and verdicts on them in the same order -> the kept rows, unchanged."""
    if not table["id"].equals(verdicts["id"]):
        raise DataError("the verdicts are not on these rows: give keep.rows the table that was judged")
    return table.filter(verdicts["kept"])
