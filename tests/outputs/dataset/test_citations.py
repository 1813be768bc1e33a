import pytest

from attar.outputs.dataset import citations


@pytest.mark.parametrize("number", ["2406.08464", "2312.15685", "2510.06670", "2412.04305"])
def test_each_of_the_four_papers_has_its_entry(number):
    entry = citations.bibtex(number)
    assert entry is not None
    assert f"eprint = {{{number}}}" in entry
    assert entry.count("{") == entry.count("}")
    assert citations.bibtex("0000.00000") is None
    assert citations.arxiv_id(f"arXiv:{number}") == number
