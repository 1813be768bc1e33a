from attar.cli.render import print_batches


def test_batches_are_a_table_of_their_numbers(capsys):
    counts = {"completed": 1200, "failed": 3, "total": 5000}
    print_batches([{"id": "batch_7", "status": "in_progress", "request_counts": counts}, {"id": "batch_8", "status": "failed"}])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines == [
        ["batch", "status", "done", "failed", "of"],
        ["batch_7", "in_progress", "1,200", "3", "5,000"],
        ["batch_8", "failed", "0", "0", "0"],
    ]


def test_no_batches_are_said_so(capsys):
    print_batches([])
    assert capsys.readouterr().out == "no batches\n"
