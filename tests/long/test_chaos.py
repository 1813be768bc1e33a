"""A server that fails three tries in ten: every row is answered with its own text, or fails with its reason."""


def test_every_row_is_accounted_for(bench):
    out = bench("engines/chaos.py", 3000, 1, full=(20000, 0))
    assert "lost 0, twice 0, with another's text 0" in out
