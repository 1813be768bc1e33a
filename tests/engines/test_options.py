from typing import Annotated, Literal, Required

import pytest
from annotated_types import Ge
from typing_extensions import TypedDict

from attar.core.errors import EngineError
from attar.engines.base import Spec
from attar.engines.http.engine import HttpOptions
from attar.engines.options import check_options


class Few(TypedDict, total=False):
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (pydantic declares it so)

    url: Required[str]
    tries: Annotated[int, Ge(1)]
    price: dict[Literal["input", "output"], float]
    how: Literal["this", "that"]


def check(kinds=Few, **options):
    return check_options(Spec("http", "m", {"url": "http://h", **options}), kinds)


def test_good_options_come_back_as_they_are():
    assert check(tries=3, price={"input": 1}) == {"url": "http://h", "tries": 3, "price": {"input": 1.0}}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"trys": 3}, "http engine m: unknown option 'trys'; did you mean 'tries'?"),
        ({"qqqq": 3}, "http engine m: unknown option 'qqqq'; known: how, price, tries, url"),
        ({"tries": 0}, "http engine m: option 'tries' is 0: input should be greater than or equal to 1"),
        ({"tries": "3"}, "http engine m: option 'tries' is '3': input should be a valid integer"),
        ({"tries": True}, "http engine m: option 'tries' is True: input should be a valid integer"),
        ({"url": 7}, "http engine m: option 'url' is 7: input should be a valid string"),
        ({"how": "so"}, "http engine m: option 'how' is 'so': input should be 'this' or 'that'"),
        ({"price": {"input": "a"}}, "http engine m: option 'price'['input'] is 'a': input should be a valid number"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it(options, line):
    with pytest.raises(EngineError) as told:
        check(**options)
    assert str(told.value) == line


def test_a_missing_option_is_named():
    with pytest.raises(EngineError, match=r"^http engine m: the option 'url' is missing$"):
        check_options(Spec("http", "m"), Few)


@pytest.mark.parametrize("name", ["key", "api_key", "token"])
def test_a_key_is_never_written_into_a_file_and_never_said_again(name):
    with pytest.raises(EngineError, match="name the environment variable with key_env") as told:
        check(**{name: "sk-secret"})
    assert "sk-secret" not in str(told.value)


@pytest.mark.parametrize(
    "options",
    [{"n": 0}, {"n": 129}, {"concurrency": 0}, {"rpm": 0}, {"timeout": -1}, {"rewards": "guess"}, {"price": {"day": 1}}],
)
def test_an_http_engine_s_options_are_within_reason(options):
    with pytest.raises(EngineError, match=f"option '{next(iter(options))}'"):
        check(HttpOptions, **options)
