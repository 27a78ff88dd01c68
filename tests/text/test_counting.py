"""Counting of characters and words: the compiled loops against their Python twins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybp.text import count_characters, count_words, counting

Count = Callable[[list[str]], dict[str, int]]
BOTH = [count_characters, count_words]

# Few different characters, so that words repeat: plain, accented, two and four bytes wide, and
# white space of each width, among it two separators that only Unicode counts as white space.
REPEATING = st.text(alphabet="ab\u00e9\u03b1\u4e2d\U0001f600 \n\x1c\x85\u2003\u3000", max_size=40)
ANY_TEXT = st.text(max_size=40)  # leaves out surrogates
TEXTS = st.lists(st.one_of(REPEATING, ANY_TEXT), max_size=6)


def in_order(counts: dict[str, int]) -> list[tuple[str, int]]:
    return list(counts.items())


def test_the_compiled_module_is_in_use() -> None:
    assert counting.COMPILED


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_characters_equal_the_twin_in_order(texts: list[str]) -> None:
    expected = in_order(counting.python_count_characters(texts))
    assert in_order(count_characters(texts)) == expected


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_words_equal_the_twin_in_order(texts: list[str]) -> None:
    assert in_order(count_words(texts)) == in_order(counting.python_count_words(texts))


def test_characters_of_all_texts_together() -> None:
    assert in_order(count_characters(["ab a", "", "\u4e2da"])) == [
        ("a", 3),
        ("b", 1),
        (" ", 1),
        ("\u4e2d", 1),
    ]


def test_words_are_cut_at_white_space_and_kept_as_they_are() -> None:
    assert in_order(count_words(["The end. the\tEnd", "end"])) == [
        ("The", 1),
        ("end.", 1),
        ("the", 1),
        ("End", 1),
        ("end", 1),
    ]


@pytest.mark.parametrize("separator", [chr(i) for i in range(0x3001) if chr(i).isspace()])
def test_each_unicode_space_separates(separator: str) -> None:
    assert count_words([f"{separator}a{separator}{separator}b{separator}"]) == {"a": 1, "b": 1}


def test_a_word_is_the_same_in_texts_of_every_width() -> None:
    texts = ["caf\u00e9 x", "caf\u00e9 \u4e2d", "caf\u00e9 \U0001f600", "caf\u00e8 \U0001f600"]
    assert in_order(count_words(texts)) == [
        ("caf\u00e9", 3),
        ("x", 1),
        ("\u4e2d", 1),
        ("\U0001f600", 2),
        ("caf\u00e8", 1),
    ]


def test_the_word_table_grows() -> None:
    words = [str(i) for i in range(20_000)]
    assert in_order(count_words([" ".join(words + words[::2])])) == [
        (word, 2 - i % 2) for i, word in enumerate(words)
    ]


@pytest.mark.parametrize("count", BOTH)
@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_nothing_to_count(count: Count, texts: list[str]) -> None:
    assert count(texts) == {}


def test_white_space_alone_has_no_words() -> None:
    assert count_words([" \n\t", "\u3000"]) == {}


@pytest.mark.parametrize("count", BOTH)
def test_a_generator_and_an_array_of_strings_will_do(count: Count) -> None:
    texts = ["one two", "two"]
    expected = count(texts)
    assert in_order(count(text for text in texts)) == in_order(expected)  # type: ignore[arg-type]
    counts = count(np.array(texts))  # type: ignore[arg-type]
    assert in_order(counts) == in_order(expected)
    assert {type(key) for key in counts} == {str}


@pytest.mark.parametrize("count", BOTH)
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a text", "single str"),
        (3, "iterable of str, got int"),
        (None, "iterable of str, got NoneType"),
        (["a", b"b"], "got bytes at position 1"),
        (["a", "b", None], "got NoneType at position 2"),
        (b"ab", "got int at position 0"),
    ],
)
def test_what_is_not_texts_is_refused(count: Count, texts: list[str], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        count(texts)


@pytest.mark.parametrize("count", BOTH)
def test_an_error_of_the_callers_iterator_comes_through(count: Count) -> None:
    def broken() -> object:
        yield "a b"
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        count(broken())  # type: ignore[arg-type]


def test_the_twins_serve_when_the_compiled_module_is_missing(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pybp.text._counting'] = None\n"  # None makes the import fail
        "from pybp.text import count_characters, count_words, counting\n"
        "print(counting.COMPILED, count_words(['b a b']), count_characters(['bab']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False {'b': 2, 'a': 1} {'b': 2, 'a': 1}"
