"""Names of the files that a training records into, for those who read them without torch."""

#: Metrics, one line an epoch of every training.
METRICS = "metrics.jsonl"

#: Histograms of the relaxed mask, one line an epoch.
MASKS = "masks.jsonl"

#: Bins of a histogram of mask entries over [0, 1].
BINS = 20
