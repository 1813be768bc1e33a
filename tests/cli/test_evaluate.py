import json
import subprocess
import sys

import pytest

CODE = "import attar.cli.evaluate; from attar.cli.main import main; main()"


@pytest.fixture
def attar(tmp_path):
    def go(*words, code=0):
        command = [sys.executable, "-c", CODE, "eval", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr if code else done.stdout

    return go


def annotations(path, model, preferences):
    path.write_text(
        json.dumps(
            [
                {
                    "instruction": f"question {i}",
                    "output_1": "x" * (300 + 7 * i % 100),
                    "generator_1": "base",
                    "output_2": "y" * (300 + 11 * i % 100),
                    "generator_2": model,
                    "annotator": "judge",
                    "preference": preference,
                }
                for i, preference in enumerate(preferences)
            ]
        )
    )
    return path


def test_annotations_of_models_become_a_table_with_the_best_first(attar, tmp_path):
    weak = annotations(tmp_path / "weak.json", "weak", [1, 1.25, 1, 1.5, 1, 1, 1, None])
    strong = annotations(tmp_path / "strong.json", "strong", [2, 1.75, 2, 1.5, 2, 2, 2, 2])
    shown = attar("alpaca", "--annotations", weak, strong, "--bootstrap", 50).splitlines()
    assert [line.split()[0] for line in shown[:3]] == ["model", "strong", "weak"]
    assert "7 to 8 battles each" in " ".join(shown)
    assert "strong is controlled by length alone: its LC is not on the leaderboard's scale." in shown
    assert "weak has 12.5% of its battles unjudged; they are not counted." in shown

    twice = attar("alpaca", "--annotations", weak, "--annotations", strong, "--bootstrap", 50, "--json")
    found = {line["id"]: line for line in json.loads(twice)}
    assert found["strong/win_rate"]["value"] == pytest.approx(100 * 7.25 / 8)
    assert (found["weak/win_rate"]["count"], found["weak/win_rate"]["value"]) == (7, pytest.approx(75 / 7))
    assert found["weak/discrete_win_rate"]["value"] == pytest.approx(50 / 7)
    assert found["weak/win_rate"]["low"] < 75 / 7 < found["weak/win_rate"]["high"]
    assert found["weak/lc_win_rate"]["judge"] == "judge"
    assert json.loads(attar("alpaca", "--annotations", weak, strong, "--bootstrap", 50, "--json")) == json.loads(twice)


def test_what_cannot_be_read_is_one_line(attar, tmp_path):
    file = annotations(tmp_path / "some.json", "ours", [1, 3])
    assert attar("alpaca", "--annotations", file, code=2) == (
        f"attar: {file} row 2 has preference 3: it must be from 1 to 2 (or 0 for a tie), or null\n"
    )
    annotations(file, "ours", [1, 2])
    assert "no battle is against 'bass'; did you mean 'base'?" in attar(
        "alpaca", "--annotations", file, "--against", "bass", code=2
    )
    assert "does not exist" in attar("alpaca", "--annotations", tmp_path / "sone.json", code=2)
