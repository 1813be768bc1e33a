import pytest

from attar.core.errors import RecipeError
from attar.runtime.settings import Settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shard": 0}, "shard and bulk must be >= 1"),
        ({"bulk": -1}, "shard and bulk must be >= 1"),
        ({"max_failures": 2.0}, "max_failures and max_truncated must be from 0 to 1"),
        ({"max_truncated": -0.1}, "max_failures and max_truncated must be from 0 to 1"),
        ({"retry": "all"}, "retry must be transient or always or none, got 'all'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(RecipeError, match=message):
        Settings(**wrong)
