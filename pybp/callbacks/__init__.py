"""Callbacks: what happens between the epochs and steps of a fit."""

from pybp.callbacks.averaging import EMA, SWA, update_statistics
from pybp.callbacks.base import Callback
from pybp.callbacks.checkpoint import Checkpoint
from pybp.callbacks.csv_logger import CSVLogger
from pybp.callbacks.early_stopping import EarlyStopping
from pybp.callbacks.plateau import ReduceOnPlateau

__all__ = [
    "EMA",
    "SWA",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "ReduceOnPlateau",
    "update_statistics",
]
