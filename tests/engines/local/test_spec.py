import pytest

from attar.core.errors import EngineError
from attar.engines.local.spec import POCKET, find_model_folder


def test_a_folder_a_pocket_model_and_a_model_on_the_hub_are_told_apart(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert find_model_folder(str(tmp_path)) == tmp_path
    assert find_model_folder("pocket:teacher") == POCKET / "teacher"
    assert find_model_folder("owner/name") is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("pocket:teecher", r"no pocket model 'teecher'; .*teacher"),
        ("./not/there", r"model folder \./not/there does not exist"),
        ("~/not-there-either", "does not exist"),
    ],
)
def test_a_model_that_is_not_there_is_named(model, message):
    with pytest.raises(EngineError, match=message):
        find_model_folder(model)


def test_a_folder_without_a_model_says_what_it_lacks(tmp_path):
    with pytest.raises(EngineError, match=r"is not a model folder: it has no config\.json"):
        find_model_folder(str(tmp_path))
