"""Trainings that are killed end as if undisturbed; `tests/kills/campaign.py` does it 250 times."""

from __future__ import annotations

import random
import signal

import pytest
from kills.campaign import disturbed, run

pytest.importorskip("safetensors")
SIZES = {"online": 4, "batches": 25, "cnn": 6, "stream": 2}


@pytest.mark.parametrize("scenario", SIZES)
def test_a_killed_training_ends_as_an_undisturbed_one(scenario, tmp_path):
    wanted = run(scenario, str(tmp_path), SIZES[scenario]).result
    assert len(wanted) == 64
    ways = [signal.SIGKILL, signal.SIGINT, signal.SIGKILL]
    assert disturbed(scenario, SIZES[scenario], ways, random.Random(1)) == wanted
    assert len(ways) < 3
