"""Every attack of bench/attack (few tries unless FULL=1): nothing is lost, mixed up, run or shown as a traceback."""


def test_no_attack_does_harm(bench):
    table = bench("attack/run.py", "--quick", full=("--seed", "0"))
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    assert len(rows) > 25
    assert [row for row in rows if row[1] != row[2] or row[1] == "0"] == []
