"""Lines of a file: numbered, bounded, blank ones left out, every byte accounted for."""

from io import BytesIO

from ledger.cli.import_source import lines_of


def read(content: bytes, longest: int = 100) -> list[tuple[int, bytes | None]]:
    return [(line.number, line.text) for line in lines_of(BytesIO(content), longest)]


def test_lines_are_numbered_as_an_editor_does():
    assert read(b"one\r\n\n  \nfour\nfive") == [(1, b"one"), (4, b"four"), (5, b"five")]


def test_a_byte_order_mark_belongs_to_no_line():
    assert read(b"\xef\xbb\xbf{}\n") == [(1, b"{}")]


def test_a_line_that_is_too_long_is_skipped_to_its_end():
    assert read(b"a" * 11 + b"\nnext\n", longest=10) == [(1, None), (2, b"next")]
    assert read(b"a" * 95 + b"\nnext\n", longest=10) == [(1, None), (2, b"next")]
    assert read(b"a" * 95, longest=10) == [(1, None)]


def test_a_line_of_just_the_longest_length_is_taken():
    assert read(b"a" * 10 + b"\nnext", longest=10) == [(1, b"a" * 10), (2, b"next")]


def test_sizes_add_up_to_the_file():
    content = b"one\n\n" + b"b" * 50 + b"\nthree"
    assert sum(line.size for line in lines_of(BytesIO(content), 10)) == len(content)


def test_an_empty_file_has_no_lines():
    assert read(b"") == []
    assert read(b"\n\n") == []
