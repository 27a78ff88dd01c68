"""How often each character or word occurs: the first step of a vocabulary.

The loops exist twice with the same meaning: here in plain Python, as the definition, and compiled
in ``_counting.pyx``. ``count_characters`` and ``count_words`` use the compiled ones when they are
there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

try:
    from pybp.text import _counting
except ImportError:  # built without the extension, or for another Python: the twins do the work
    COMPILED = False
else:
    COMPILED = True


def count_characters(texts: Iterable[str]) -> dict[str, int]:
    """Count the characters of all texts together.

    A character is one Unicode code point, white space and line ends included. Nothing is
    normalised and the case is kept: "a" and "A" are two characters.

    Parameters
    ----------
    texts : iterable of str
        The texts, read once from first to last; a generator will do.

    Returns
    -------
    dict of str to int
        Character -> number of occurrences, in the order of first appearance.

    Raises
    ------
    TypeError
        If `texts` is a single str or not iterable, or an element is not a str; the message names
        the position of the element.
    """
    checked = checked_texts(texts)
    return _counting.count_characters(checked) if COMPILED else python_count_characters(checked)


def count_words(texts: Iterable[str]) -> dict[str, int]:
    """Count the words of all texts together.

    A word is a maximal run of characters that are not white space, exactly as ``str.split()``
    cuts a text: a word never goes on from one text into the next, punctuation stays with its word
    ("end." and "end" are two words) and the case is kept. To count regardless of case, pass
    ``(text.lower() for text in texts)``.

    Parameters
    ----------
    texts : iterable of str
        The texts, read once from first to last; a generator will do.

    Returns
    -------
    dict of str to int
        Word -> number of occurrences, in the order of first appearance.

    Raises
    ------
    TypeError
        If `texts` is a single str or not iterable, or an element is not a str; the message names
        the position of the element.
    """
    checked = checked_texts(texts)
    return _counting.count_words(checked) if COMPILED else python_count_words(checked)


def python_count_characters(texts: Iterable[str]) -> dict[str, int]:
    """Do what `count_characters` does, in plain Python, for texts already checked."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    return dict(counts)


def python_count_words(texts: Iterable[str]) -> dict[str, int]:
    """Do what `count_words` does, in plain Python, for texts already checked."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.split())
    return dict(counts)


def checked_texts(texts: Iterable[str]) -> Iterator[str]:
    """Return an iterator over the texts as exact str objects.

    Parameters
    ----------
    texts : iterable of str
        Elements of a subclass of str (`numpy.str_`) are converted.

    Raises
    ------
    TypeError
        At once if `texts` is a str or not iterable; on reaching it if an element is not a str.
    """
    # A str is an iterable of str: taken as texts, each of its characters would be a text.
    if isinstance(texts, str):
        raise TypeError("texts must be an iterable of str, got a single str: pass [text]")
    if not isinstance(texts, Iterable):
        raise TypeError(f"texts must be an iterable of str, got {type(texts).__name__}")
    return _each_checked(texts)


def _each_checked(texts: Iterable[str]) -> Iterator[str]:
    for position, text in enumerate(texts):
        if type(text) is str:
            yield text
        elif isinstance(text, str):
            yield str.__str__(text)  # the subclass's own __str__ might give another text
        else:
            raise TypeError(
                f"texts must be str throughout, got {type(text).__name__} at position {position}"
            )
