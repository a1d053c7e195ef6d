"""The parser: errors of one line, and the options that it remembers for completions."""

from __future__ import annotations

import pytest

from fastnet.cli.parser import Parser, add_reading_options


def test_an_error_is_one_line_and_the_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="fastnet")
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--no-such-option"])
    assert caught.value.code == 2
    expected = "fastnet: error: unrecognized arguments: --no-such-option; usage: fastnet --help\n"
    assert capsys.readouterr().err == expected


def test_options_are_remembered() -> None:
    parser = Parser()
    add_reading_options(parser)
    assert set(parser.options) == {"-h", "--help", "--separator", "--encoding"}
    assert parser.parse_args(["--separator", "tab"]).separator == "\t"
