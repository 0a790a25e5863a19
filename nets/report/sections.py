"""The sections of the page, each from what was gathered to HTML; whatever comes from a file is escaped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from concave_sparsity.plot_style import style_numbers
from nets.analysis.comparison import mean_interval
from nets.analysis.matching import judge, largest_matching_sparsity
from nets.metric import Metric
from nets.report.contents import DRAWN, Gathered, Line, Panel, by_seed
from nets.report.svg import STYLES, Chart, legend, plane, scaled

#: A section: its title, the sentence below it, and its content ("": the page leaves it out).
Section = tuple[str, str, str]

#: Series of a panel that are drawn; more could not be told apart. The tables hold all.
SHOWN = STYLES


def summary(gathered: Gathered) -> str:
    """Return the tiles at the top of the page."""
    tickets = [row for row in gathered.rows if row["method"] != "dense"]
    hours = (
        sum((row.get("search_seconds") or 0) + (row.get("retrain_seconds") or 0) for row in gathered.rows)
        / 3600
    )
    spent = f"{hours:.3g} h" if hours >= 1 else f"{60 * hours:.3g} min"
    tiles = [
        ("runs finished", f"{len(gathered.rows):,}"),
        ("tickets", f"{len(tickets):,}"),
        ("methods", str(len({row["method"] for row in tickets}))),
        ("data sets", str(len({row["data"] for row in gathered.rows}))),
        ("seeds", str(len({row["seed"] for row in gathered.rows}))),
        ("time of training", spent),
    ]
    others = [
        (f"runs {state}", str(count))
        for state, count in sorted(gathered.states.items())
        if state != "finished"
    ]
    items = "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>" for n, v in [*tiles, *others])
    where = "".join(f"<li>{escape(text)}</li>" for text, _ in gathered.sessions.most_common(5))
    return f'<dl class="tiles">{items}</dl>' + (f'<ul class="where">{where}</ul>' if where else "")


def quality(gathered: Gathered) -> Section:
    """Draw the metric against density, with intervals."""
    name = _names(gathered)
    return (
        f"{name[:1].upper()}{name[1:]} against density",
        f"Test {name} of the retrained ticket, mean over the seeds with its 95% interval (Student's t); the "
        "band is the dense network. The axis of shares is logarithmic in the error, so that good tickets "
        "are told apart.",
        _each(gathered, _quality),
    )


def _names(gathered: Gathered) -> str:
    """Return what the metrics are called."""
    return " or ".join(dict.fromkeys(panel.metric.name for panel in gathered.panels)) or "accuracy"


def _scale(metric: Metric) -> str:
    return "error" if metric.unit == "%" and metric.higher_is_better else "linear"


def _quality(panel: Panel) -> str:
    shown, metric = panel.series[:SHOWN], panel.metric
    scale = _scale(metric)
    means = {(s.label, d): mean_interval(list(s.scores(d).values())) for s in shown for d in s.densities}
    dense = mean_interval(list(panel.dense.values())) if panel.dense else (math.nan, math.nan)
    centres = [m for m in (dense[0], *(m for m, _ in means.values())) if math.isfinite(m)]
    # Intervals of very few seeds may be wider than all there is to see: they are cut at the frame.
    low, high = (scaled(end(centres), scale) for end in (min, max))
    room = max((high - low) / 4, 0.05 if scale == "error" else 0.0)
    ends = [m + sign * h for m, h in means.values() for sign in (-1, 1) if math.isfinite(h)]
    values = [*centres, *(v for v in ends if low - room <= scaled(v, scale) <= high + room)]
    x, y = plane([d for s in shown for d in s.densities], values, x_scale="log", y_scale=scale)
    title = f"Test {metric.name} against density, {panel.title}"
    chart = Chart(x, y, "density (%)", f"test {metric.heading}", title)
    if panel.dense:
        half = dense[1] if math.isfinite(dense[1]) else 0.0
        chart.band(dense[0] - half, dense[0] + half, dense[0], f"dense: {_number(metric, *dense)}")
    styles = style_numbers([series.label for series in shown], STYLES)
    for number, series in zip(styles, shown):
        found = [(d, *means[series.label, d]) for d in series.densities]
        chart.line(
            [(d, mean) for d, mean, _ in found],
            number,
            half_widths=[half for _, _, half in found],
            texts=[
                f"{series.label} at {100 * d:g}%: {_number(metric, mean, half)}, {len(series.rows[d])} seeds"
                for d, mean, half in found
            ],
        )
    drawn = chart.render(percent_x=True, percent_y=metric.unit == "%")
    return drawn + legend([s.label for s in shown], styles, dense=bool(panel.dense)) + _more(panel)


def matching(gathered: Gathered) -> Section:
    """Tell which tickets match the dense network, and which win."""
    return (
        "Matching tickets",
        f"A ticket matches if its mean {_names(gathered)} is less than {_tolerances(gathered)} below the "
        "dense one, by a one-sided test over the seeds at 95%; it is worse if it is shown to lose more, and "
        "undecided else, with the number of seeds that would decide it if the difference stayed. It "
        "wins if it matches "
        "and beats its own mask with new initial weights. The largest matching sparsity tests the densities "
        "from the largest down and stops "
        "at the first that fails.",
        _each(gathered, _matching, wide=True),
    )


def _tolerances(gathered: Gathered) -> str:
    return " or ".join(dict.fromkeys(panel.metric.tolerance_text for panel in gathered.panels)) or "0.5 point"


def _matching(panel: Panel) -> str:
    metric = panel.metric
    if not panel.dense:
        return "<p>No dense network was trained with these settings, so nothing can be compared with it.</p>"
    rows = []
    for series in panel.series:
        scores = {d: series.scores(d) for d in series.densities}
        largest = largest_matching_sparsity(scores, panel.dense, metric=metric)
        for i, density in enumerate(series.densities):
            again = series.controls.get((density, "reinitialise"))
            reinitialised = by_seed(again) if again else None
            verdict = judge(scores[density], panel.dense, reinitialised, metric=metric)
            evidence = verdict.matching
            rows.append(
                [
                    series.label if i == 0 else "",
                    f"{100 * density:g}",
                    _number(metric, *mean_interval(list(scores[density].values()))),
                    evidence.difference_text,
                    str(evidence.seeds),
                    (verdict.text, f"verdict {verdict.word}", evidence.explain()),
                    ("none" if largest is None else f"{100 * largest:.4g}%") if i == 0 else "",
                ]
            )
    return table(
        [
            "method",
            "density (%)",
            metric.heading,
            "to dense, paired",
            "seeds",
            "ticket",
            "largest matching sparsity",
        ],
        rows,
    )


def cost(gathered: Gathered) -> Section:
    """Draw the metric against what the search costs."""
    name = _names(gathered)
    return (
        "Search cost",
        f"{name[:1].upper()}{name[1:]} against the epochs that the search for this ticket alone takes, one "
        "point a density; the "
        "cheaper the further left. Tickets that need no search are drawn at half an epoch.",
        _each(gathered, _cost),
    )


def _cost(panel: Panel) -> str:
    shown, metric = panel.series[:SHOWN], panel.metric
    points: list[tuple[Line, list[tuple[float, float, float, float]]]] = []
    for series in shown:
        found = []
        for density in series.densities:
            rows = series.rows[density]
            epochs = math.fsum(row["search_epochs_spent"] for row in rows) / len(rows)
            seconds = math.fsum(row.get("search_seconds") or 0.0 for row in rows) / len(rows)
            found.append((epochs, mean_interval(list(by_seed(rows).values()))[0], density, seconds))
        points.append((series, found))
    flat = [point for _, found in points for point in found]
    x, y = plane(
        [max(epochs, 0.5) for epochs, *_ in flat],
        [mean for _, mean, *_ in flat],
        x_scale="log",
        y_scale=_scale(metric),
    )
    title = f"Test {metric.name} against search cost, {panel.title}"
    chart = Chart(x, y, "epochs of search", f"test {metric.heading}", title)
    styles = style_numbers([series.label for series in shown], STYLES)
    for number, (series, found) in zip(styles, points):
        chart.line(
            [(max(epochs, 0.5), mean) for epochs, mean, _, _ in found],
            number,
            texts=[
                f"{series.label} at {100 * d:g}%: {metric.text(mean)}, {epochs:g} epochs, {seconds:.3g} s"
                for epochs, mean, d, seconds in found
            ],
        )
    drawn = chart.render(percent_y=metric.unit == "%")
    return drawn + legend([s.label for s in shown], styles) + _more(panel)


def layers(gathered: Gathered) -> Section:
    """Tell the layer-wise densities."""
    return (
        "Layer-wise densities",
        "Share of each layer's weights that the ticket keeps, in percent, mean over the seeds; shaded by its "
        "logarithm.",
        _each(gathered, _layers, wide=True),
    )


def _layers(panel: Panel) -> str:
    parts = []
    for series in panel.series[:SHOWN]:
        densities = series.densities[:8]
        names = list(
            dict.fromkeys(
                n for d in densities for row in series.rows[d] for n in row.get("layer_densities") or {}
            )
        )
        body = []
        for name in names:
            cells: list[Any] = [name]
            for density in densities:
                kept = [
                    float(row["layer_densities"][name])
                    for row in series.rows[density]
                    if name in row["layer_densities"]
                ]
                mean = math.fsum(kept) / len(kept) if kept else math.nan
                shade = 0 if not kept or mean <= 0 else max(0, min(9, round(9 + 3 * math.log10(mean))))
                cells.append((f"{100 * mean:.3g}" if kept else "-", f"h{shade}", ""))
            body.append(cells)
        if body:
            parts.append(table(["layer", *(f"{100 * d:g}%" for d in densities)], body, caption=series.label))
    return '<div class="tables">' + "".join(parts) + "</div>" + _more(panel)


def certificates(gathered: Gathered) -> Section:
    """Tell what is certified of networks that were pruned layer by layer."""
    return (
        "Certificates of layers",
        "Networks pruned layer by layer, before any rewinding: the error of each layer's outputs relative to "
        "their size, on the data it was fitted on and on held-out data, and an error below which no choice "
        "of as many weights in each row can be (one run a method, middle density, first seed).",
        _each(gathered, lambda panel: _certificates(panel, gathered)),
    )


def _certificates(panel: Panel, gathered: Gathered) -> str:
    kinds = {"layer_error": "calibration", "layer_held_out": "held out", "layer_bound": "bound"}
    parts: list[str] = []
    for series in panel.series:
        row = series.drawn()
        trace = gathered.curves[row["run"]].trace if row["run"] in gathered.curves else {}
        found = {label: trace[name] for name, label in kinds.items() if trace.get(name)}
        layers = sorted(row.get("layer_densities") or {})
        if "calibration" not in found or any(len(values) != len(layers) for values in found.values()):
            continue
        drawn = [v for values in found.values() for v in values if v > 0]
        if not drawn or len(parts) >= DRAWN:
            continue
        name = f"{series.label} at {100 * row['asked_density']:g}%"
        x, y = plane([1.0, float(len(layers))], drawn, y_scale="log")
        chart = Chart(x, y, "layer", "relative error", f"Errors of the layers, {name}")
        for style, (label, values) in enumerate(found.items()):
            points = [(float(i), v) for i, v in enumerate(values, 1) if v > 0]
            texts = [f"{layers[int(i) - 1]}, {label}: {v:.3g}" for i, v in points]
            chart.line(points, style, texts=texts)
        body = [
            [layer, f"{100 * row['layer_densities'][layer]:.3g}%", *(f"{v[i]:.3g}" for v in found.values())]
            for i, layer in enumerate(layers)
        ]
        parts.append(
            f"<figure>{chart.render()}<figcaption>{escape(name)}</figcaption></figure>"
            + legend(list(found))
            + table(["layer", "kept", *found], body, caption=name)
        )
    return '<div class="charts">' + "".join(parts) + "</div>" if parts else ""


def masks(gathered: Gathered) -> Section:
    """Draw the histograms of relaxed masks over time."""
    return (
        "Relaxed masks over time",
        "How the entries of a relaxed mask spread between 0 and 1 as the search goes on (one run a method, "
        "middle density, first seed); darker is more, on a logarithmic scale.",
        _each(gathered, lambda panel: _masks(panel, gathered)),
    )


def _masks(panel: Panel, gathered: Gathered) -> str:
    parts: list[str] = []
    for series in panel.series:
        row = series.drawn()
        histograms = gathered.curves[row["run"]].masks if row["run"] in gathered.curves else []
        if not histograms or len(parts) >= DRAWN:
            continue
        total = max(1, max(sum(counts) for _, counts in histograms))
        shades = [
            [math.log1p(c) / math.log1p(total) if c else 0.0 for c in counts] for _, counts in histograms
        ]
        bins = [len(counts) for _, counts in histograms]
        texts = [
            [
                f"epoch {epoch:g}, {j / n:.2f} to {(j + 1) / n:.2f}: {c} of {total} entries"
                for j, c in enumerate(counts)
            ]
            for (epoch, counts), n in zip(histograms, bins)
        ]
        x, y = plane([0.5, len(histograms) + 0.5], [0.0, 1.0])
        x.low, x.high, y.low, y.high = 0.5, len(histograms) + 0.5, 0.0, 1.0
        name = f"{series.label} at {100 * row['asked_density']:g}%"
        chart = Chart(x, y, "epoch of the search", "mask entry", f"Mask of {name}")
        chart.cells(shades, texts)
        parts.append(f"<figure>{chart.render()}<figcaption>{escape(name)}</figcaption></figure>")
    return '<div class="charts">' + "".join(parts) + "</div>" if parts else ""


def traces(gathered: Gathered) -> Section:
    """Draw how lam was steered."""
    return (
        "The trace of λ",
        "λ as it is steered (logarithmic), and the mean of the relaxed mask with the density wanted at each "
        "moment (one run a method, middle density, first seed).",
        _each(gathered, lambda panel: _traces(panel, gathered)),
    )


def _traces(panel: Panel, gathered: Gathered) -> str:
    drawn: list[tuple[Line, Mapping[str, Sequence[float]]]] = []
    for series in panel.series:
        run = series.drawn()["run"]
        trace = gathered.curves[run].trace if run in gathered.curves else {}
        if trace.get("step") and trace.get("lam") and len(drawn) < DRAWN:
            drawn.append((series, trace))
    if not drawn:
        return ""
    steps = [step for _, trace in drawn for step in trace["step"]]
    x, y = plane(steps, [v for _, t in drawn for v in t["lam"]], y_scale="log")
    lam = Chart(x, y, "step of the search", "λ", f"λ over the search, {panel.title}")
    x, y = plane(steps, [0.0, 1.0])
    mean = Chart(x, y, "step of the search", "mean of the mask (%)", f"Mean of the mask, {panel.title}")
    styles = style_numbers([series.label for series, _ in drawn], STYLES)
    for i, (_, trace) in zip(styles, drawn):
        lam.line(_thinned([(s, v) for s, v in zip(trace["step"], trace["lam"]) if v > 0]), i)
        mean.line(_thinned(list(zip(trace["step"], trace.get("mean", ())))), i)
    target, wanted = drawn[0][1].get("target"), {}
    if target:
        mean.line(_thinned(list(zip(drawn[0][1]["step"], target))), STYLES - 1)
        wanted = {"density wanted (first)": STYLES - 1}
    names = [f"{series.label} at {100 * series.drawn()['asked_density']:g}%" for series, _ in drawn]
    named = dict(zip(names, styles)) | wanted
    charts = lam.render() + mean.render(percent_y=True)
    return f'<div class="charts">{charts}</div>' + legend(list(named), list(named.values()))


def checks(gathered: Gathered) -> Section:
    """Tell the sanity checks."""
    rows: list[list[Any]] = []
    for panel in gathered.panels:
        for series in panel.series:
            for (density, control), found in sorted(
                series.controls.items(), key=lambda c: (-c[0][0], c[0][1])
            ):
                if density not in series.rows:
                    continue
                ticket, other = (list(by_seed(r).values()) for r in (series.rows[density], found))
                metric = panel.metric
                gain = metric.gain(mean_interval(ticket)[0], mean_interval(other)[0])
                rows.append(
                    [
                        panel.title,
                        series.label,
                        f"{100 * density:g}",
                        control,
                        _number(metric, *mean_interval(ticket)),
                        _number(metric, *mean_interval(other)),
                        metric.gain_number(gain),
                    ]
                )
    tickets = [row for row in gathered.rows if row["method"] != "dense" and not row.get("control")]
    inexact = [r for r in tickets if r["kept"] != round(r["asked_density"] * r["total"])]
    addresses = {row["run"] for row in gathered.rows}
    alone = [row for row in gathered.rows if row.get("dense") not in addresses]
    facts = [
        (
            not inexact,
            f"{len(tickets) - len(inexact):,} of {len(tickets):,} tickets keep exactly the weights asked for",
        ),
        (
            not alone,
            f"{len(gathered.rows) - len(alone):,} of {len(gathered.rows):,} runs have their dense network "
            "here",
        ),
        (
            not gathered.damaged,
            f"{len(gathered.damaged)} runs were left out because their files are damaged or changed",
        ),
        (not gathered.failures, f"{len(gathered.failures)} runs failed"),
    ]
    items = "".join(f'<li class="{"good" if good else "bad"}">{escape(text)}</li>' for good, text in facts)
    problems = "".join(f"<li>{escape(text)}</li>" for text in gathered.damaged[:20])
    problems += "".join(f"<li>{escape(a)}: {escape(m)}</li>" for a, m in gathered.failures[:20])
    content = f'<ul class="facts">{items}</ul>' + (
        f'<ul class="problems">{problems}</ul>' if problems else ""
    )
    if rows:
        unit = " (%)" if all(panel.metric.unit == "%" for panel in gathered.panels) else ""
        heads = ["runs", "method", "density (%)", "check", f"ticket{unit}", f"check{unit}", "difference"]
        content += '<div class="scroll">' + table(heads, rows) + "</div>"
    else:
        content += "<p>No sanity checks (shuffled, re-initialised, inverted, random masks) were run.</p>"
    return "Sanity checks", "A ticket that deserves its name beats these controls.", content


SECTIONS: tuple[Callable[[Gathered], Section], ...] = (
    quality,
    matching,
    cost,
    layers,
    certificates,
    masks,
    traces,
    checks,
)


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> str:
    """Return a table; a cell is text, or (text, class, what is told on hovering)."""

    def cell(value: Any) -> str:
        text, kind, title = value if isinstance(value, tuple) else (value, "", "")
        attributes = f' class="{escape(kind)}"' if kind else ""
        attributes += f' title="{escape(title)}"' if title else ""
        return f"<td{attributes}>{escape(str(text))}</td>"

    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
    body = "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows)
    named = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{named}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _each(gathered: Gathered, draw: Callable[[Panel], str], *, wide: bool = False) -> str:
    """Return what is drawn of every panel, those of which nothing is drawn left out."""
    parts = [(panel, content) for panel in gathered.panels if (content := draw(panel))]
    if not parts:
        return ""
    articles = "".join(
        f"<article><h3>{escape(panel.title)}</h3>{content}</article>" for panel, content in parts
    )
    return f'<div class="{"scroll" if wide else "panels"}">{articles}</div>'


def _more(panel: Panel) -> str:
    left = len(panel.series) - SHOWN
    return f'<p class="more">{left} more are in the tables.</p>' if left > 0 else ""


def _number(metric: Metric, mean: float, half: float) -> str:
    return metric.number(mean) + (f" ± {metric.number(half)}" if math.isfinite(half) else "")


def _thinned(points: Sequence[tuple[float, float]], most: int = 300) -> list[tuple[float, float]]:
    step = max(1, len(points) // most)
    return list(points[::step])
