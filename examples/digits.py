"""Which pixels tell ten handwritten digits apart? One multinomial model, pixels kept for all digits or none.

Run ``python examples/digits.py``; the data come with scikit-learn (1,797 images of 8 x 8 pixels). Prints the
pixels kept, the held-out log-loss, and the mask; beside it ten models, each of one digit against the rest.
"""

from __future__ import annotations

import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from convex_analysis import ConcaveClassifier


def main() -> None:
    """Fit the models and print what they keep."""
    X, y = load_digits(return_X_y=True)
    train, test, labels, truth = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    models = {
        "multinomial, shared pixels, log": {"shared_support": True, "alpha": 0.01},
        "multinomial, log": {"alpha": 0.002},
        "multinomial, l1": {"penalty": "l1", "alpha": 0.002},
        "one against the rest, l1": {"penalty": "l1", "alpha": 0.002, "multi_class": "ovr"},
    }
    for name, parts in models.items():
        begun = time.perf_counter()
        model = ConcaveClassifier(**parts, tol=1e-6).fit(train, labels)
        kept = (model.coef_ != 0.0).any(axis=0)
        shares = model.predict_proba(test)
        print(
            f"{name:32} {kept.sum():2} of 64 pixels, {np.count_nonzero(model.coef_):3} coefficients, "
            f"log-loss {log_loss(truth, shares):.3f}, accuracy "
            f"{accuracy_score(truth, model.predict(test)):.3f}, {time.perf_counter() - begun:.1f} s"
        )
        if "shared" in name:
            print("\n".join("".join("#" if one else "." for one in row) for row in kept.reshape(8, 8)))


if __name__ == "__main__":
    main()
