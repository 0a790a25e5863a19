"""What the columns of the stored results and of their per-epoch metrics hold."""

from __future__ import annotations

#: One row a finished run, as `nets.results` and the table "results" of `nets.query` have it.
RESULTS: dict[str, str] = {
    "run": "address of the run: the name of its folder",
    "dense": "address of the dense network that it is compared with",
    "data, model, method, penalty, task": "what was run, as in `nets.Play`",
    "seed, data_seed": "seed of weights, batches and search; seed of what is held out",
    "control": "sanity check that the ticket was put to, empty for the ticket itself",
    "asked_density": "share of the maskable weights that was asked for",
    "density": "share that the ticket keeps: kept / total",
    "kept, total": "maskable weights kept, and all of them",
    "test_accuracy": "of the retrained ticket, a share; test_NAME for a task with another metric",
    "validation_accuracy": "the same on the validation part",
    "dense_test_accuracy, dense_validation_accuracy": "of the dense network of the same seed",
    "metric, metric_unit, metric_higher_is_better, metric_tolerance, metric_relative": (
        "what the scores are, where they are no accuracy"
    ),
    "search_epochs_spent": "epochs of training that the search for this ticket alone takes",
    "search_seconds, retrain_seconds": "time of the search and of the retraining, in seconds",
    "retrain_epochs": "epochs of the retraining",
    "search_flops": "operations of the search, counted as dense",
    "inference_flops, dense_inference_flops": "operations of one inference, pruned weights left out",
    "search_cut_loss": "loss of the metric when the relaxed mask is cut (validation, a share)",
    "search_relaxed_density": "mean of the relaxed mask before the cut",
    "search_lam": "lam at the end of the search",
    "search_...": "what else the method reports of its search",
    "layer_densities": "share kept of each masked tensor, by its name (JSON)",
    "options": "options of the method that were set (JSON)",
    "granularity, rewind, include, exclude, search_epochs": "settings of the mask, as in `nets.Play`",
    "epochs, batch_size, optimiser, lr, momentum, nesterov, weight_decay, schedule, warm_up, milestones, "
    "lr_factor, label_smoothing, precision, accumulate": "settings of one training, as in `nets.Training`",
    "device, channels_last, compile, graphs": "where and how it was computed; no part of what the run is",
}

#: One row an epoch of every training.
METRICS: dict[str, str] = {
    "run": "address of the run",
    "training": "search-0, search-1, ... (trainings of the search), retrain, or dense",
    "epoch": "epochs done",
    "train_loss": "mean loss of the epoch's batches",
    "validation_loss, validation_accuracy": "on the validation part; the metric's name for other tasks",
}


def documented(name: str) -> bool:
    """Tell whether a column of the results is described."""
    names = {one.strip() for key in RESULTS for one in key.split(",")}
    return name in names or name.startswith("search_")
