"""People without a file: those of the expert fields that come with Attar, of the pocket world, and nobody."""

from attar.stages.synth import expert_fields, plain_personas
from attar.stages.synth.expert_fields_nature import NATURE
from attar.stages.synth.expert_fields_society import SOCIETY

# the expert fields


def test_the_fields_of_nature_and_of_society_together_are_the_twenty_domains():
    texts = {"nature": NATURE, "society": SOCIETY}
    names = {
        name: [line[2:].partition(":")[0] for line in text.splitlines() if line[:2] == "# "] for name, text in texts.items()
    }
    assert names["nature"][:2] == ["medicine", "health professions"]
    assert names["society"][0] == "law"
    assert [len(one) for one in names.values()] == [9, 11]
    assert [domain.name for domain in expert_fields.domains()] == names["nature"] + names["society"]


def test_a_domain_is_read_as_it_is_written_down_lines_that_go_on_joined():
    law = next(domain for domain in expert_fields.domains() if domain.name == "law")
    assert law.newcomers == "trainee lawyers"
    assert law.roles[:3] == ("practise", "research", "teach")
    assert law.places[-1] == "in a town where everybody knows everybody"
    assert law.fields["family lawyer"] == (
        "custody across borders",
        "hidden assets",
        "adoption",
        "the maintenance of elderly parents",
    )


def test_there_are_more_than_twenty_thousand_personas_and_no_two_are_alike():
    found = [text for text, _, _ in expert_fields.sentences()]
    assert len(found) > 20_000
    assert len(set(found)) == len(found)


def test_every_domain_is_written_down_in_full():
    everyone = expert_fields.domains()
    assert len(everyone) == 20
    names = [field for domain in everyone for field in domain.fields]
    assert len(names) >= 150
    assert len(set(names)) == len(names)
    for domain in everyone:
        assert domain.newcomers
        assert len(domain.places) == len(set(domain.places)) == 8, domain.name
        assert set(domain.roles) <= set(expert_fields.ROLES)
        assert len(domain.roles) == len(set(domain.roles)) >= 6
        for field, topics in domain.fields.items():
            assert 3 <= len(topics) == len(set(topics)) <= 6, field


def test_every_persona_is_a_clean_sentence_or_two():
    for text, domain, field in expert_fields.sentences():
        assert text[0] == "A"
        assert text.endswith(".")
        assert text.count(". ") <= 1
        assert field in text
        assert text.isascii()
        assert not set(text) & set("{}@#=:;\n"), text
        assert "  " not in text
        assert "works work" not in text
        assert domain


def test_an_article_fits_the_word_after_it():
    first = {text.split()[0] + " " + text.split()[1] for text, _, _ in expert_fields.sentences()}
    assert {"An actuary", "A cardiologist", "An optical", "A newly", "An oral"} <= first
    assert not {pair for pair in first if (pair.split()[0] == "An") != (pair.split()[1][0] in "aeiou")}


# without a source


def test_people_of_the_pocket_world_are_drawn_by_the_seed_and_many_come_more_than_once():
    people = plain_personas.pocket(count=2000, seed=1)
    assert 370 < people["persona"].n_unique() <= 384  # by chance two of 384 are missing
    assert people["id"].n_unique() == 2000
    assert plain_personas.pocket(count=2000, seed=1).equals(people)
    assert not plain_personas.pocket(count=2000, seed=2)["persona"].equals(people["persona"])


def test_without_personas_there_is_nobody():
    assert plain_personas.nobody(count=3)["persona"].to_list() == [None] * 3
    assert plain_personas.nobody(count=3)["id"].n_unique() == 3
