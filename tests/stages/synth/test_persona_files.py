import csv
import gzip
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError
from attar.runtime.flow import Trace
from attar.stages.synth import persona_files, personas

PEOPLE = ["A diver who repairs pumps.", "A judge in a mountain town.", "Une infirmière de nuit."]


def write(folder, kind, values):
    path = folder / f"people.{kind}"
    rows = [{"persona": value, "n": 1.0} for value in values]
    if kind == "txt":
        path.write_text("\ufeff" + "\r\n".join(values), encoding="utf-8", newline="")
    elif kind == "csv":
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, ["n", "persona"])
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    elif kind == "json":
        path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    else:
        pl.DataFrame(rows).write_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["txt", "csv", "jsonl", "jsonl.gz", "json", "parquet"])
def test_a_file_of_any_kind_gives_the_same_personas_without_doubles_and_empties(tmp_path, kind):
    path = write(tmp_path, kind, [PEOPLE[0], "", PEOPLE[1], f"  {PEOPLE[0]} ", "   ", PEOPLE[2]])
    out = personas.sample(count=3, source=str(path), seed=5)
    assert set(out["persona"]) == set(PEOPLE)
    assert out.columns == ["id", "persona"]
    plain = personas.sample(count=3, source=str(write(tmp_path, "txt", PEOPLE[::-1])), seed=5)
    assert out.equals(plain)


def test_a_line_break_inside_a_csv_field_belongs_to_the_persona(tmp_path):
    path = write(tmp_path, "csv", ["A smith,\r\nwho sings", PEOPLE[0]])
    assert set(personas.sample(count=2, source=str(path))["persona"]) == {"A smith,\r\nwho sings", PEOPLE[0]}


def test_a_sample_of_a_file_is_a_prefix_too_and_depends_on_the_seed(tmp_path):
    path = str(write(tmp_path, "txt", [f"Person number {i}." for i in range(300)]))
    many = personas.sample(count=300, source=path)
    assert personas.sample(count=20, source=path).equals(many.head(20))
    assert many["persona"].to_list() != [f"Person number {i}." for i in range(300)]
    assert set(personas.sample(count=20, source=path, seed=1)["id"]) != set(many["id"].head(20))


def test_a_file_with_too_few_says_how_many_there_are(tmp_path):
    path = write(tmp_path, "txt", [*PEOPLE, PEOPLE[0]])
    with pytest.raises(DataError) as told:
        personas.sample(count=4, source=str(path))
    assert str(told.value) == f"4 personas are asked for, but {path} has only 3 different ones: lower the count"


def test_another_column_can_be_named_and_a_missing_one_is_told_with_those_there_are(tmp_path):
    path = tmp_path / "bios.jsonl"
    path.write_text('{"bio": "A baker.", "age": 3}\n')
    assert personas.sample(count=1, source=str(path), column="bio")["persona"].to_list() == ["A baker."]
    with pytest.raises(DataError) as told:
        personas.sample(count=1, source=str(path))
    assert str(told.value) == (
        f"{path}, row 1: column 'persona' is missing (there is: bio, age); name the right one with 'column'"
    )
    with pytest.raises(DataError, match="row 1: column 'age' holds 3, not text"):
        personas.sample(count=1, source=str(path), column="age")


def test_plain_texts_have_no_columns_to_name(tmp_path):
    path = write(tmp_path, "json", PEOPLE)
    with pytest.raises(DataError, match="column 'bio' is missing"):
        personas.sample(count=1, source=str(path), column="bio")


def test_a_folder_named_like_a_dataset_is_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own" / "people").mkdir(parents=True)
    path = write(tmp_path / "own" / "people", "jsonl", [f"Person {i}." for i in range(30)])
    assert personas.sample(count=30, source="own/people").equals(personas.sample(count=30, source=str(path)))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b'{"persona": "x"}\n{"pers', "a.jsonl, row 2: not JSON"),
        ("a.txt", b"caf\xe9 owner", "a.txt could not be read as UTF-8 txt"),
        ("a.csv", b'persona\n"open', "a.csv could not be read as UTF-8 csv"),
        ("a.json", b"[3]", "row 1: column 'persona' is missing .there is: no columns, but '3'."),
        ("a.parquet", b"PAR0", "a.parquet, row 1: damaged"),
        ("a.xlsx", b"", "a.xlsx, row 1: damaged"),
    ],
)
def test_what_cannot_be_read_is_told_by_file_and_row(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        personas.sample(count=1, source=str(tmp_path / name))


@pytest.mark.parametrize("source", ["missing.txt", "a/b/c", "no/such/folder/people.jsonl"])
def test_a_path_that_is_not_there_is_told_and_not_looked_for_on_the_hub(source):
    with pytest.raises(DataError, match="does not exist"):
        personas.sample(count=1, source=source)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12), max_size=12))
def test_any_lines_come_back_stripped_and_once_each(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("any") / "p.txt"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    there = {line.removeprefix("\ufeff").strip() if i == 0 else line.strip() for i, line in enumerate(lines)} - {""}
    out = personas.sample(count=len(there), source=str(path))
    assert sorted(out["persona"]) == sorted(there)


# what a step is known by


def test_a_step_follows_what_a_file_holds(tmp_path):
    def step():
        return Trace()(personas.sample, count=1, **personas.pin(str(path))).step

    path = write(tmp_path, "txt", PEOPLE)
    before, again = step(), step()
    path.write_text("\n".join(PEOPLE[:2]))
    after = step()
    assert before.fingerprint == again.fingerprint != after.fingerprint
    with pytest.raises(DataError, match="has changed since the run started: run again"):
        before.stage(**before.knobs)
    assert len(after.stage(**after.knobs)) == 1


def test_a_folder_is_known_by_all_its_files(tmp_path):
    (tmp_path / "b.jsonl").write_text('{"persona": "B"}\n')
    (tmp_path / "a.jsonl").write_text('{"persona": "A"}\n')
    before = personas.pin(str(tmp_path))
    assert set(personas.sample(count=2, **before)["persona"]) == {"A", "B"}  # type: ignore[arg-type]  # (the pin holds text and numbers)
    (tmp_path / "b.jsonl").write_text('{"persona": "C"}\n')
    assert personas.pin(str(tmp_path))["content"] != before["content"]


def test_the_taxonomy_and_a_dataset_are_known_by_name():
    assert personas.pin(None) == {"source": None, "content": None}
    assert personas.pin("some/dataset") == {"source": "some/dataset", "content": None}


# the Hub


def test_a_dataset_is_streamed_in_an_order_that_the_seed_decides(tmp_path):
    (tmp_path / "train.jsonl").write_text("".join(json.dumps({"persona": f"Person {i}."}) + "\n" for i in range(50)))
    one, again, other = (list(persona_files.from_hub(str(tmp_path), None, seed)) for seed in (0, 0, 1))
    assert one == again != other
    assert sorted(one) == sorted(other) == sorted(f"Person {i}." for i in range(50))


def test_a_part_of_a_dataset_is_named_after_a_colon(tmp_path):
    parts = "".join(f"- config_name: {name}\n  data_files: {name}.jsonl\n" for name in ("first", "second"))
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{parts}---\n")
    for name in ("first", "second"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"persona": f"The {name}."}) + "\n")
    assert list(persona_files.from_hub(f"{tmp_path}:second", None, 0)) == ["The second."]
    with pytest.raises(DataError, match="third"):
        list(persona_files.from_hub(f"{tmp_path}:third", None, 0))


def test_a_dataset_that_cannot_be_reached_is_one_clear_error(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"^no-one/nothing:part is not a local file and .* the Hub \(.*\): check the name"):
        personas.sample(count=1, source="no-one/nothing:part")
