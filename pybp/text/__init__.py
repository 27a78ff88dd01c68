"""Text to numbers: counting characters and words.

``import pybp`` does not load this package; ``import pybp.text`` does.
"""

from __future__ import annotations

from pybp.text.counting import count_characters, count_words

__all__ = ["count_characters", "count_words"]
