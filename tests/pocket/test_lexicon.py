from attar.pocket.lexicon import FACTS, GROUP_OF, GROUPS, KEYS, LAND_OF, WORDS


def test_words_belong_to_one_group_and_capitals_to_one_land():
    assert len(set(WORDS)) == sum(map(len, GROUPS.values())) == 32
    assert all(word in GROUPS[group] for word, group in GROUP_OF.items())
    assert len(LAND_OF) == len(FACTS) == 12
    assert FACTS["Nor"] == {"capital": "Belton", "color": "red", "animal": "owl", "food": "rice"}


def test_no_fact_picks_out_a_land_but_its_capital():
    assert all(tuple(facts) == KEYS for facts in FACTS.values())
    for key in KEYS[1:]:
        values = [facts[key] for facts in FACTS.values()]
        assert max(values.count(value) for value in values) >= 2, key
    assert {facts["animal"] for facts in FACTS.values()} <= set(GROUPS["animals"])
    assert {facts["food"] for facts in FACTS.values()} <= set(GROUPS["foods"])
