from attar.stages.evaluate.judging.judge_check_pairs import PAIRS


def test_there_are_twenty_pairs_of_different_names_and_texts():
    assert len({pair.name for pair in PAIRS}) == len({pair.prompt for pair in PAIRS}) == 20
    assert len({text for pair in PAIRS for text in (pair.better, pair.worse)}) == 40


def test_length_alone_is_right_in_half_of_the_pairs():
    assert sum(len(pair.better) > len(pair.worse) for pair in PAIRS) == 10
    assert sum(len(pair.better) < len(pair.worse) for pair in PAIRS) == 10
    better, worse = (sum(len(getattr(pair, side)) for pair in PAIRS) for side in ("better", "worse"))
    assert 0.8 < better / worse < 1.25
