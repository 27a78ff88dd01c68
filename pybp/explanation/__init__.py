"""``pybp.explain``: one example through a small net as a text, for learning and teaching."""

from __future__ import annotations

from pybp.explanation.story import explain

__all__ = ["explain"]
