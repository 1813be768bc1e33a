from attar.cli.console import console, print_plain


def test_plain_text_is_printed_as_it_is(capsys, monkeypatch):
    monkeypatch.setattr(console, "_width", 20)
    text = "[bold]not markup[/] :smile: " + "a long path/" * 10
    print_plain(text)
    assert capsys.readouterr().out == f"{text}\n"


def test_plain_text_and_tables_come_in_the_order_of_printing(capsys):
    print_plain("first")
    console.print("second")
    print_plain("third")
    assert capsys.readouterr().out == "first\nsecond\nthird\n"


def test_a_colon_pair_is_no_emoji(capsys):
    console.print("RUN:x:smile:")
    assert capsys.readouterr().out == "RUN:x:smile:\n"
