import pytest

from attar.core.errors import EngineError
from attar.engines.base import Spec
from attar.engines.prices import Price, price_of

OPENAI = "https://api.openai.com/v1"


def spec(model="m", kind="http", url="http://localhost:8000/v1", **options):
    return Spec(kind, model, {"url": url, **options})


@pytest.fixture
def table(tmp_path, monkeypatch):
    def write(text):
        path = tmp_path / "prices.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        monkeypatch.setenv("ATTAR_PRICES", str(path))
        return path

    monkeypatch.delenv("ATTAR_PRICES", raising=False)
    return write


def test_a_price_is_dollars_for_a_million_tokens():
    assert Price(0.15, 0.60).of(2_000_000, 500_000) == pytest.approx(0.60)
    assert Price().of(10**9, 10**9) == 0


def test_a_price_nobody_has_said_is_none_and_not_nought(table):
    assert price_of(spec()) is None
    assert price_of(spec("gpt-4o-mini", url="http://localhost:8000/v1")) is None
    assert price_of(Spec("fake", "m")) is None
    assert price_of(Spec("local", "m", {})) is None


def test_a_known_model_has_its_price_and_a_batch_costs_half(table):
    assert price_of(spec("gpt-4o-mini", url=OPENAI)) == Price(0.15, 0.60)
    assert price_of(spec("gpt-4o-mini", "batch", OPENAI)) == Price(0.075, 0.30)


def test_a_price_of_the_run_file_comes_before_all_others(table):
    table("api.openai.com/gpt-4o-mini: {input: 9, output: 9}")
    assert price_of(spec("gpt-4o-mini", url=OPENAI, price={"input": 1.0})) == Price(1.0, 0.0)
    assert price_of(spec(price={"hour": 2})) == Price(hour=2)
    assert price_of(spec(price={})) == Price()


def test_a_table_of_one_s_own_comes_before_what_is_known(table):
    table("api.openai.com/gpt-4o-mini: {input: 2, output: 4}\nlocalhost/org/m: {hour: 3.5}\n")
    assert price_of(spec("gpt-4o-mini", url=OPENAI)) == Price(2, 4)
    assert price_of(spec("gpt-4o-mini", "batch", OPENAI)) == Price(1, 2)
    assert price_of(spec("org/m")) == Price(hour=3.5)
    assert price_of(spec("other")) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("localhost/m: 3", "a price is written as"),
        ("localhost/m: {inputs: 3}", "a price is written as"),
        ("localhost/m: {input: cheap}", "a price is written as"),
        ("localhost/m: {input: -1}", "a price is written as"),
        ("localhost/m: {input: .nan}", "a price is written as"),
        ("- localhost/m", "a price is written as"),
        ("", "a price is written as"),
        ("localhost/m: {input: [", "cannot be read"),
        pytest.param(b"localhost/m\xff: {input: 1}", "cannot be read"),
    ],
)
def test_a_bad_table_is_told_of_in_one_line(table, text, why):
    path = table(text)
    with pytest.raises(EngineError) as told:
        price_of(spec())
    assert str(path) in str(told.value)
    assert why in str(told.value)
    assert "\n" not in str(told.value)


def test_a_table_that_is_not_there_is_told_of(table, monkeypatch):
    monkeypatch.setenv("ATTAR_PRICES", "/nowhere/prices.yaml")
    with pytest.raises(EngineError, match=r"ATTAR_PRICES names /nowhere/prices.yaml, which cannot be read"):
        price_of(spec())
