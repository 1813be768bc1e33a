# ruff: noqa: RUF001 (letters of other scripts are what this file is about)
import socket
import sys

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError, MissingExtraError
from attar.stages.annotate import language

SAID = [
    ("en", "Could you tell me how long a cake with three eggs should stay in the oven?"),
    ("de", "Kannst du mir sagen, wie lange ein Kuchen mit drei Eiern backen soll?"),
    ("fr", "Combien de temps faut-il laisser au four un gâteau avec trois œufs ?"),
    ("es", "¿Cuánto tiempo tengo que dejar en el horno un pastel con tres huevos?"),
    ("pt", "Quanto tempo devo deixar no forno um bolo que leva três ovos?"),
    ("it", "Quanto tempo devo lasciare in forno una torta che ha tre uova?"),
    ("nl", "Hoe lang moet een taart met drie eieren in de oven blijven staan?"),
    ("pl", "Jak długo mam piec w piekarniku ciasto z trzema jajkami?"),
    ("sv", "Hur länge ska en kaka med tre ägg stå i ugnen innan den är klar?"),
    ("tr", "Üç yumurtalı bir pastayı fırında ne kadar süre pişirmem gerekiyor?"),
    ("fi", "Kuinka kauan kolmen munan kakkua pitää paistaa uunissa?"),
    ("cs", "Jak dlouho se má péct v troubě dort, do kterého přijdou tři vejce?"),
    ("ru", "Сколько времени нужно печь в духовке пирог с тремя яйцами?"),
    ("uk", "Скільки часу треба пекти в духовці пиріг, у якому є три яйця?"),
    ("zh", "一个放了三个鸡蛋的蛋糕要在烤箱里烤多久？"),
    ("ja", "卵を三つ使ったケーキはオーブンで何分ぐらい焼けばいいですか。"),
    ("ko", "달걀 세 개를 넣은 케이크는 오븐에서 얼마나 구워야 하나요?"),
    ("ar", "كم من الوقت يجب أن تبقى الكعكة بثلاث بيضات في الفرن؟"),
    ("hi", "तीन अंडों वाले केक को ओवन में कितनी देर तक पकाना चाहिए और क्यों?"),
    ("el", "Πόση ώρα πρέπει να ψηθεί στον φούρνο ένα κέικ με τρία αυγά;"),
    ("he", "כמה זמן צריך לאפות בתנור עוגה עם שלוש ביצים?"),
    ("th", "เค้กที่ใส่ไข่สามฟองต้องอบในเตานานเท่าไร"),
    ("vi", "Một chiếc bánh có ba quả trứng thì phải nướng trong lò bao lâu?"),
]
AMID = [
    (
        "de",
        "Was ist hier falsch?\n```python\nfor item in these:\n    print(item, end='')\n    return the_value_of(item)\n```",
    ),
    ("es", "¿Por qué no va `while the value is not found print the error and then try again`?"),
    ("pl", "Policz granicę ciągu $a_n = \\frac{n}{n + 1}$ i wyjaśnij każdy krok."),
    ("fr", "Que dit https://example.org/what-does-this-message-mean/and-what-should-we-do-with-the-others ?"),
    ("en", "Translate 「猫が好きですが、犬も好きです」 into plain English for me."),
    ("de", 'Was heißt auf Deutsch "the quick brown fox jumps over the lazy dog and runs away"?'),
]
SILENT = [
    "12 + 30 = ?",
    "???",
    "x = y",
    "{}[]();",
    "1, 2, 3, 5",
    "\U0001f600\U0001f600",
    "```c\nint main(void) { return 0; }\n```",
]


def table(*prompts, column="prompt"):
    ids = pl.Series([str(i) for i in range(len(prompts))], dtype=pl.String)
    return pl.DataFrame({"id": ids, column: pl.Series(prompts, dtype=pl.String)})


def test_twenty_three_languages_are_told_apart_and_surely():
    out = language.detect(table(*(text for _, text in SAID)))
    assert out["language"].to_list() == [code for code, _ in SAID]
    assert out["language_sure"].is_between(0.3, 1.0).all()
    assert out["language_error"].null_count() == len(SAID)


@pytest.mark.parametrize(("code", "text"), AMID)
def test_code_formulas_addresses_and_quotations_do_not_count(code, text):
    assert language.language_of(text)[0] == code


def test_an_unclosed_fence_hides_all_that_follows_it():
    assert (
        language.language_of("Co tu jest nie tak?\n```\n" + "while the value is not found, print the error\n" * 20)[0] == "pl"
    )


def test_a_text_that_is_nothing_but_a_quotation_is_read_all_the_same():
    assert language.language_of('"Quanto tempo devo lasciare in forno una torta che ha tre uova?"')[0] == "it"


def test_what_has_no_words_has_no_language_and_says_so():
    out = language.detect(table(*SILENT, None, ""))
    assert out["language"].null_count() == len(out)
    assert out["language_sure"].null_count() == len(out)
    assert out["language_error"].to_list() == ["no words"] * len(SILENT) + ["no prompt"] * 2


def test_shouting_is_the_same_language():
    assert [language.language_of(text.upper())[0] for _, text in SAID[:8]] == [code for code, _ in SAID[:8]]


def test_varieties_of_chinese_and_arabic_are_chinese_and_arabic():
    assert language.language_of("唔該畀我一杯熱檸茶，佢哋話今日唔使做嘢，我哋去邊度食飯好呢？")[0] == "zh"
    assert language.language_of("انا عايز اعرف ازاي اعمل كده النهارده عشان مش عارف خالص")[0] == "ar"


def test_an_answer_that_is_not_sure_enough_is_undecided_and_tells_how_sure_it_was():
    doubtful = "Koala pasta."
    code, sure, _ = language.language_of(doubtful)
    assert code is not None
    assert sure is not None
    assert sure < 0.5
    out = language.detect(table(doubtful, SAID[1][1]), least=0.5)
    assert out["language"].to_list() == [None, "de"]
    assert out["language_error"].to_list() == ["undecided", None]
    assert out["language_sure"][0] == sure
    assert language.detect(table(doubtful), least=sure)["language"].to_list() == [code]


def test_rows_do_not_hang_on_their_neighbours_and_nothing_else_of_them_changes():
    whole = table(*(text for _, text in SAID)).with_columns(pl.lit(1).alias("n"))
    out = language.detect(whole)
    assert out.drop("language", "language_sure", "language_error").equals(whole)
    assert language.detect(whole[7:11]).equals(out[7:11])


def test_any_column_can_be_asked_about_and_a_missing_one_is_named():
    assert language.detect(table(SAID[3][1], column="response"), column="response")["language"].to_list() == ["es"]
    assert language.detect(table(None, column="response"), column="response")["language_error"].to_list() == ["no response"]
    with pytest.raises(DataError, match="column 'response' is missing"):
        language.detect(table("a"), column="response")


def test_no_rows_are_no_rows_of_the_same_kinds():
    out = language.detect(table())
    assert out.schema == language.detect(table("a")).schema
    assert out.schema["language_sure"] == pl.Float64


@given(st.text(max_size=60))
def test_any_text_has_a_two_letter_code_or_a_reason(text):
    code, sure, error = language.language_of(text)
    assert (code is None) != (error is None)
    if code is not None:
        assert len(code) == 2
        assert sure is not None
        assert 0 < sure <= 1


def test_nothing_is_fetched(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    language._detector.cache_clear()
    assert language.language_of(SAID[0][1])[0] == "en"


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    monkeypatch.setitem(sys.modules, "py3langid", None)
    language._detector.cache_clear()
    with pytest.raises(MissingExtraError) as told:
        language.detect(table(SAID[0][1]))
    assert str(told.value) in (
        "py3langid is not installed: run  pip install 'attar[language]'",
        "py3langid.langid is not installed: run  pip install 'attar[language]'",
    )
