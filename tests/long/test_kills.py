"""`kill -9` at random moments: a resumed run has the tables of one that nobody killed, and pays for nothing twice."""

NO_LOSS = "steps that differ: none"
LATE = "not within the last second before a kill: 0"
SMALL = (
    "count=600",
    "size=120",
    "exam_size=45",
    "train={epochs: 1, lr: 0.004, batch: 16, max_length: 256}",
    "pairs={count: 60, answers: 3, temperature: 1.4, margin: 2.0}",
)
ROUNDS = (
    *("rounds=11", "picked=15", "seeds=pocket:150", "labels=null", "gold=null", "prompts=400", "clusters=60", "exam_size=45"),
    "train={epochs: 3, lr: 0.004, batch: 16, max_length: 256}",
)


def test_magpie_loses_nothing(bench):
    out = bench("kill_and_resume.py", 3, 1, "examples/pocket.yaml", *SMALL, full=(8, 2))
    assert NO_LOSS in out
    assert LATE in out


def test_ten_small_rounds_of_alma_lose_nothing(bench):
    out = bench(
        "kill_and_resume.py", 2, 1, "examples/alma-pocket.yaml", *ROUNDS, full=(5, 1, "examples/alma-pocket.yaml", *ROUNDS)
    )
    assert NO_LOSS in out
    assert LATE in out


def test_requests_over_http_lose_nothing(bench):
    out = bench("engines/kill_and_resume_http.py", 4, 1, 4000, full=(20, 1, 20000))
    assert NO_LOSS in out
    assert LATE in out
