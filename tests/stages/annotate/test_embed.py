from array import array
from collections import Counter
from itertools import product
from math import log

import numpy as np
import polars as pl
import pytest
from engines_for_tests import Scripted
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import RecipeError
from attar.engines.base import Reply, Spec
from attar.engines.fake import Fake
from attar.engines.journal import Journal, load_reply
from attar.engines.journaling import Journaled
from attar.stages.annotate import embed


def table(texts):
    return pl.DataFrame({"id": [str(i) for i in range(len(texts))], "prompt": pl.Series(texts, dtype=pl.String)})


def by_hand(text, width):
    """What the module says of letters, piece by piece."""
    flat, row = f" {text} ", [0.0] * width
    for piece, count in Counter(flat[i : i + size] for size in (3, 4, 5) for i in range(len(flat) - size + 1)).items():
        mark = ord(piece[0])
        for letter in piece[1:]:
            mark = (mark * 0x9E3779B1 + ord(letter)) % 2**32
        mark = (mark ^ mark >> 16) * 0x85EBCA6B % 2**32
        mark = (mark ^ mark >> 13) * 0xC2B2AE35 % 2**32
        mark ^= mark >> 16
        row[mark % width] += (1 if mark >> 31 else -1) * (1 + log(count))
    return np.array(row) if max(map(abs, row)) > 1e-9 else np.zeros(width)


words = st.text(st.sampled_from("abйж中文🙂é"), min_size=1, max_size=4)


@given(st.lists(st.lists(words, min_size=1, max_size=30).map(" ".join), min_size=1, max_size=6), st.sampled_from([7, 64, 512]))
def test_letters_are_the_counts_of_pieces_in_any_script(texts, width):
    rows = [by_hand(text, width) for text in texts]
    out = embed.letters(table(texts), width=width)["embedding"].to_list()
    for row, made in zip(rows, out, strict=True):
        assert made is None if not row.any() else made == pytest.approx(list(row / np.linalg.norm(row)), abs=1e-6)


def test_a_text_has_the_same_letters_whatever_stands_beside_it():
    texts = [word * count for word, count in product(["cat ", "sun and moon ", "Ärger "], [1, 40, 2000])]
    whole = embed.letters(table(texts))
    parts = pl.concat([embed.letters(table(texts)[i : i + 1]) for i in range(len(texts))])
    assert whole.equals(parts)
    assert whole["embedding"].dtype == pl.List(pl.Float32)


def test_blank_texts_have_no_letters_and_each_error_stands_at_its_row():
    out = embed.letters(table(["cat", "", " \n\t", None, "cat"]))
    assert out["embedding_error"].to_list() == [None, "no prompt", "no prompt", "no prompt", None]
    assert [vector is not None for vector in out["embedding"].to_list()] == [True, False, False, False, True]
    assert embed.letters(table([]))["embedding"].to_list() == []


def test_letters_without_a_place_to_go_are_refused():
    with pytest.raises(RecipeError, match="width must be >= 1, got 0"):
        embed.letters(table(["cat"]), width=0)


def test_a_text_whose_letters_cancel_out_has_no_vector_but_a_reason():
    gone = next(text for text in map("".join, product("abcdefg", repeat=3)) if not by_hand(text, 1).any())
    out = embed.letters(table(["cat", gone, ""]), width=1)
    assert out["embedding_error"].to_list() == [None, "the letters of prompt cancel out", "no prompt"]
    assert out["embedding"].to_list()[1] is None


def test_vectors_of_any_length_go_to_their_rows_and_say_whether_their_text_was_cut():
    class Cutting(Fake):
        def embed(self, requests):
            for request in reversed(list(requests)):
                long = len(request.text) > 3
                made = array("f", [1.0] * len(request.text))
                yield Reply(request.index, vector=made, finish="length" if long else "stop")

    out = embed.vectors(table(["ab", None, "abcd", ""]), engine=Cutting(Spec("fake", "m")))
    assert out["embedding"].to_list() == [[1.0, 1.0], None, [1.0] * 4, None]
    assert out["embedding_cut"].to_list() == [False, None, True, None]
    assert out["embedding_error"].to_list() == [None, "no prompt", None, "no prompt"]


def test_an_engine_that_does_not_tell_leaves_open_whether_a_text_was_cut():
    out = embed.vectors(table(["a"]), engine=Scripted(lambda _: (1.0,)))
    assert out["embedding_cut"].to_list() == [None]
    assert embed.vectors(table([None]), engine=Scripted(lambda _: (1.0,)))["embedding"].dtype == pl.List(pl.Float32)


def test_a_rerun_embeds_nothing_and_gets_the_very_same_vectors(tmp_path):
    def embedded():
        journal = Journal(tmp_path / "journal.sqlite")
        engine = Journaled(Fake(Spec("fake", "m")), journal)
        out = embed.vectors(table(["one", "two", "one", None]), engine=engine)
        journal.close()
        return out, engine.sent_count

    first, asked = embedded()
    again, asked_again = embedded()
    assert (asked, asked_again) == (2, 0)
    assert again.equals(first)


def test_a_vector_takes_four_bytes_a_number_in_the_journal_and_one_kept_as_text_is_read_still(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    vector = array("f", np.random.default_rng(1).normal(size=384).astype(np.float32).tobytes())
    journal.keep(b"new", Reply(0, vector=vector, finish="stop", tokens_in=7))
    journal.commit()
    kept = journal.find([b"new"])[b"new"]
    assert len(kept) < 4 * 384 + 60
    assert load_reply(kept, 3) == Reply(3, vector=vector, finish="stop", tokens_in=7)
    older = '{"vector":[0.6000000238418579,0.800000011920929],"tokens_in":7,"tokens_out":0}'
    assert load_reply(older, 1) == Reply(1, vector=array("f", [0.6, 0.8]), tokens_in=7)
    journal.close()
