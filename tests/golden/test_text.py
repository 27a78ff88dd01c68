"""S67, S68: reviews and ratings as numbers."""

from __future__ import annotations

import numpy as np
from golden.helpers import golden

import pybp as bp
from pybp.text import count_words


def test_reviews_become_lists_of_indices(backend):
    """S67: the sorted vocabulary, and the words of each review once."""
    fig = golden("S67")
    counts = count_words(fig["reviews"])
    vocabulary = sorted(counts)
    assert vocabulary == fig["vocabulary"]
    assert [counts[word] for word in vocabulary] == [2, 3, 1, 2, 3, 1]
    index = {word: i for i, word in enumerate(vocabulary)}
    assert index == fig["word2index"]
    for review, tokens, indices in zip(
        fig["reviews"], fig["token_sets"], fig["index_lists"], strict=True
    ):
        assert sorted(count_words([review])) == tokens
        assert [index[word] for word in tokens] == indices.tolist()


def test_a_bag_that_counts_each_word_once_is_the_presence_row(sequential, close):
    """S67: a table of unit vectors gives the multi-hot matrix; without ``unique``, the counts."""
    fig = golden("S67")
    words = [np.array([fig["word2index"][w] for w in text.split()]) for text in fig["reviews"]]
    table = {"0.weight": np.eye(6)}
    present = sequential([bp.EmbeddingBag(6, 6, mode="sum", unique=True)], (None,), table)
    close(present.predict(words), fig["multi_hot"])
    counted = sequential([bp.EmbeddingBag(6, 6, mode="sum")], (None,), table)
    close(counted.predict(words)[0], fig["counts_first_review"])
    close(counted.predict([np.array(ids, int) for ids in fig["index_lists"]]), fig["multi_hot"])


def test_stars_are_scaled_to_zero_and_one(sequential, array, close):
    """S68: (r - 1) / 4, a neuron of weight 1/4 and bias -1/4."""
    fig = golden("S68")
    net = sequential([bp.Linear(1)], (1,), {"0.weight": [[0.25]], "0.bias": [-0.25]})
    scaled = net.predict(array(fig["stars"])[:, None])[:, 0]
    close(scaled, fig["scaled"])
    assert [float(scaled[-1]), float(scaled[0])] == fig["positive_negative"].tolist()
