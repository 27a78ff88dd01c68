"""A recurrent net reads surnames letter by letter and tells the language they come from.

    PYBP_DATA=folder python examples/names.py      20 050 surnames, from folder/names-by-language

The folder holds one file of names for each language (Russian.txt, ...). The names are arrays of
different lengths, which a net takes as they are: a list. A tenth of them is kept for the test.
Option: --epochs N.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

import pybp as bp
from pybp.datasets.folder import data_folder

FILES = "in it there must be a text file of names for each language, as Russian.txt"
SHOWN = ("Nakamura", "Kowalski", "O'Brien", "Papadopoulos", "Ivanov", "Rossi", "Nguyen", "Schmidt")


class Data(NamedTuple):
    languages: list[str]
    alphabet: str
    names: list[str]
    labels: np.ndarray  # the place of each name's language in the list

    def ids(self, names: Sequence[str]) -> list[np.ndarray]:
        """Return the places of each name's letters in the alphabet; 0 for unknown letters."""
        return [np.array([self.alphabet.find(letter) + 1 for letter in name]) for name in names]


def read_data() -> Data:
    try:
        folder = data_folder("names-by-language", None, FILES)
    except FileNotFoundError as error:
        raise SystemExit(f"no data: {error}") from error
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise SystemExit(f"no data: {folder} holds no text files; {FILES}")
    names, labels = [], []
    for label, file in enumerate(files):
        found = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
        names += found
        labels += len(found) * [label]
    alphabet = "".join(sorted({letter for name in names for letter in name}))
    return Data([file.stem for file in files], alphabet, names, np.array(labels))


def main(arguments: Sequence[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args(arguments)
    data = read_data()
    ids, labels = data.ids(data.names), data.labels
    order = np.random.default_rng(0).permutation(len(ids))
    test, train = np.split(order, [len(ids) // 10])
    net = bp.Sequential([
        bp.Embedding(len(data.alphabet) + 1, 32), bp.LSTM(128, return_sequences=False),
        bp.Dropout(0.3), bp.Linear(len(data.languages)),
    ], seed=0)  # fmt: skip
    measure = {"loss": "cross_entropy", "metrics": ["accuracy"]}
    net.fit(
        [ids[i] for i in train], labels[train], optimizer=bp.Adam(3e-3), epochs=options.epochs,
        batch_size=64, **measure,
    )  # fmt: skip

    right = net.predict([ids[i] for i in test]).argmax(1) == labels[test]
    known = {data.names[i] for i in train}
    fresh = np.array([data.names[i] not in known for i in test])
    most = np.bincount(labels[train]).argmax()
    print(f"\n{len(test)} names kept for the test: accuracy {right.mean():.1%}; of the "
          f"{fresh.sum()} that aren't among the others too {right[fresh].mean():.1%}; "
          f"always {data.languages[most]}: {(labels[test] == most).mean():.1%}")  # fmt: skip
    print(f"\n{'language':<11} {'names':>5} {'right':>5}")
    for label, language in enumerate(data.languages):
        own = labels[test] == label
        print(f"{language:<11} {own.sum():>5} {right[own].sum():>5}")
    print()
    chances = np.exp(net.predict(data.ids(SHOWN)))
    chances /= chances.sum(axis=1, keepdims=True)
    for name, row in zip(SHOWN, chances, strict=True):
        guesses = (f"{data.languages[i]} {row[i]:.0%}" for i in row.argsort()[::-1][:3])
        print(f"{name:<13} {', '.join(guesses)}")
    return float(right.mean())


if __name__ == "__main__":
    main()
