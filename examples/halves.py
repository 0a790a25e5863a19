"""Which pixels of the upper half of a digit tell its lower half? Thirty-two responses, one support.

Run ``python examples/halves.py``; the data come with scikit-learn (1,797 images of 8 x 8 pixels); seconds.
Each pixel of the upper half is kept for all pixels of the lower half or for none: multi-task regression,
by l1 on the norms (scikit-learn's MultiTaskLasso) and by concave penalties.
"""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from convex_analysis import ConcaveRegressorCV

PENALTIES = {"l1": {"penalty": "l1"}, "log": {"penalty": "log"}, "MCP": {"penalty": "mcp"}}


def main() -> None:
    """Print for each penalty the pixels kept, and what they explain of images not seen."""
    images = load_digits(return_X_y=True)[0]
    train, test = train_test_split(images, test_size=0.5, random_state=0)
    scaler = StandardScaler().fit(train[:, :32])
    for name, penalty in PENALTIES.items():
        choice = ConcaveRegressorCV(selection="one-standard-error", n_alphas=12, cv=3, tol=1e-5, **penalty)
        model = choice.fit(scaler.transform(train[:, :32]), train[:, 32:])
        kept = (model.coef_ != 0.0).any(axis=0)
        share = r2_score(
            test[:, 32:], model.predict(scaler.transform(test[:, :32])), multioutput="variance_weighted"
        )
        print(f"{name}: {kept.sum()} of 32 pixels, R^2 {share:.3f} on {len(test)} images")
        print("\n".join("".join("#" if one else "." for one in row) for row in kept.reshape(4, 8)))


if __name__ == "__main__":
    main()
