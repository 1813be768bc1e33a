import pytest

from attar.core import errors
from attar.core.errors import AttarError, EngineError, LimitError, MissingExtraError, did_you_mean, rebuild_error

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AttarError)]


@pytest.mark.parametrize("kind", KINDS)
def test_any_error_gains_its_place_and_stays_of_its_kind(kind):
    error = kind("torch", "local") if kind is MissingExtraError else kind("no such thing")
    said = str(error)
    error.place("step 'a' (x.y)", " (spent: 3)")
    assert str(error) == f"step 'a' (x.y): {said} (spent: 3)"
    assert type(error) is kind


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_another_process_is_of_its_kind_and_says_the_same(kind):
    found = rebuild_error(kind.__name__, "step 'a': why")
    assert type(found) is kind
    assert str(found) == "step 'a': why"


def test_a_kind_that_nobody_knows_is_an_error_all_the_same():
    assert type(rebuild_error("Exception", "why")) is AttarError
    assert not isinstance(rebuild_error("NoSuchError", "why"), EngineError | LimitError)


def test_a_missing_library_is_named_with_how_to_get_it():
    assert str(MissingExtraError("torch", "local")) == "torch is not installed: run  pip install 'attar[local]'"


def test_a_misspelt_word_gets_the_nearest_else_all():
    assert did_you_mean("tempature", ["temperature", "seed"]) == "did you mean 'temperature'?"
    assert did_you_mean("zzz", ["b", "a"]) == "known: a, b"
    assert did_you_mean("zzz", []) == "there are none"
