"""ALMA in the pocket world: its run file, and the steps that it comes to."""

import yaml

from attar.runtime.run_file import check_run_file

BASE = {"kind": "local", "model": "pocket:base", "dtype": "float64", "threads": 1}


FAKE = {"kind": "fake", "model": "base"}


CHAT = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{response}<|im_end|>\n"


FIT = {"epochs": 3, "lr": 0.004, "batch": 16, "max_length": 256}


KNOBS = {
    "seeds": "pocket:96",
    "labels": "pocket:64",
    "gold": "pocket:40",
    "judge_from": "student",
    "prompts": 90,
    "form": "pocket",
    "prompt_tokens": 60,
    "clusters": 20,
    "rounds": 4,
    "picked": 12,
    "answers": 8,
    "answer_tokens": 60,
    "question": CHAT,
    "distilled": 40,
    "train": FIT,
    "fit_judge": {**FIT, "epochs": 1},
    "prefer": {"epochs": 1, "lr": 0.00005, "batch": 8, "max_length": 256},
    "arms": ["other-alignment", "oracle"],
    "exam": "pocket",
    "exam_size": 45,
    "against": [],
}


def file_of(place, *, base=BASE, judge=None, **knobs):
    engines = {"base": base} | ({"judge": judge} if judge else {})
    content = {"recipe": "alma", "engines": engines, "knobs": {**KNOBS, **knobs}, "run": {"max_failures": 1.0}}
    path = place / "alma.yaml"
    path.write_text(yaml.safe_dump(content))
    return check_run_file(content, path)


def traced(place, **knobs):
    return {step.name: step for step in file_of(place, base=FAKE, **knobs).trace().steps}
