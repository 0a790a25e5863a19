"""Which words go with "not"? Counts in posts of unequal length: an offset, and Poisson regression with MCP.

Run ``CONCAVE_SPARSITY_DATA=FOLDER python examples/words.py``; seconds. The folder holds
``sparse/news20_bydate_counts.npz`` (20 newsgroups, 11,314 posts). How often a post says the word is a rate
times its length, so the logarithm of the length is known of the predictor: an offset. The features are 2,000
other words, there or not; EBIC chooses lam. Without the offset twice as many words are kept: "as", "by" and
"are" stand for the length. The loss on other posts is about the same, since lists are long without the word.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from concave_sparsity import MCP
from convex_analysis import RegressionProblem, path

WORD, POSTS = "not", 3000


def main() -> None:
    """Print for each model the words kept, and the loss on posts that it has not seen."""
    file = Path(os.environ.get("CONCAVE_SPARSITY_DATA", ".")) / "sparse" / "news20_bydate_counts.npz"
    if not file.is_file():
        raise SystemExit(
            f"There is no {file}. Make it of the 20 newsgroups, by date: CountVectorizer's counts as "
            "train_data, train_indices, train_indptr, and the words, one a line, as vocabulary_utf8."
        )
    with np.load(file, allow_pickle=False) as data:
        words = np.array(data["vocabulary_utf8"].tobytes().decode().split("\n"))
        parts = tuple(data[f"train_{part}"] for part in ("data", "indices", "indptr"))
    counts = csr_array(parts, shape=(parts[2].size - 1, int(parts[1].max()) + 1)).astype(float)
    rows = np.random.default_rng(0).permutation(counts.shape[0])
    target = int(np.flatnonzero(words == WORD)[0])
    often = np.argsort(-(counts > 0).sum(axis=0))[:2001]
    columns = often[often != target][:2000]
    y, length = counts[:, [target]].toarray()[:, 0], counts.sum(axis=1)
    there = (counts[:, columns] > 0).astype(float)
    train, test = rows[:POSTS], rows[POSTS:]
    model = {"loss": "poisson", "penalty": MCP.classical(3.0), "fit_intercept": True}
    for name, offset in (("with the length as offset", np.log(length)), ("without", np.zeros(length.size))):
        problem = RegressionProblem(there[train], y[train], offset=offset[train], **model)
        found = path(problem, n_lams=30, smallest=0.1, tol=1e-6).best("ebic")
        z = there[test] @ found.x + found.intercept + offset[test]
        loss = np.mean(np.exp(z) - y[test] * z)
        kept = found.support[np.argsort(-np.abs(found.x[found.support]))]
        shown = ", ".join(f"{words[columns[j]]} {found.x[j]:+.1f}" for j in kept[:12])
        print(f"{name}: {kept.size} of {columns.size} words, loss {loss:.3f} on {test.size} posts: {shown}")


if __name__ == "__main__":
    main()
