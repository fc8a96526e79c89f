"""What an evaluation found, as a page that needs nothing but itself, and as tables for the terminal."""

from collections.abc import Iterable, Sequence
from html import escape

from rich.console import Console
from rich.table import Table

from state.learning.results import Evaluation, Figure, ModelResult, Slice
from streams.evaluation import Findings
from streams.replay_results import ReplayResult
from streams.report_plots import Bar, bars, lines

RANKING = (
    "hr@5",
    "hr@10",
    "hr@20",
    "ndcg@5",
    "ndcg@10",
    "ndcg@20",
    "mrr",
    "recall@5",
    "recall@10",
    "recall@20",
)
SHOWN = ("ndcg@10", "hr@10", "mrr", "recall@10", "ndcg@20", "hr@20")
"""On the terminal, as many of them as it has room for."""
PIPE_WIDTH = 140
LISTS = ("coverage", "gini", "novelty", "popularity", "popularity_lift", "diversity")
VERDICTS = ("accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier", "ece")
HEADLINE = "ndcg@10"
NOTHING = "–"

_STYLE = """
body{font:15px/1.5 sans-serif;color:#222;max-width:1000px;margin:2em auto;padding:0 1em}
h1{font-size:1.6em}h2{margin-top:2em;border-bottom:1px solid #ccc}h3{margin-bottom:.3em}
table{border-collapse:collapse;margin:.6em 0;font-size:13px}
th,td{padding:.25em .6em;border-bottom:1px solid #e4e4e4;text-align:right}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #999}
code,pre{background:#f5f5f3;padding:.1em .3em}pre{padding:.6em;overflow-x:auto;font-size:12px}
p.note{color:#555;max-width:46em}svg{max-width:100%;height:auto}
"""

Rows = Iterable[Sequence[str]]


def page(findings: Findings) -> str:
    """The whole report as HTML."""
    body = ["<h1>Evaluation</h1>", f"<p><code>{escape(findings.command)}</code></p>"]
    body += [f'<p class="note">{escape(note)}</p>' for note in findings.notes]
    for evaluation in findings.evaluations:
        body += _evaluation(evaluation)
    for replay in findings.replays:
        body += _replay(replay)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Penchant: evaluation</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>"
    )


def show(findings: Findings, console: Console) -> None:
    """The main tables; on a narrow terminal with fewer columns. All are in the page and in the JSON."""
    width = console.width if console.is_terminal else PIPE_WIDTH
    console = Console(file=console.file, width=width)
    for note in findings.notes:
        console.print(f"Warning: {note}", markup=False, highlight=False)
    for evaluation in findings.evaluations:
        data = evaluation.data
        title = (
            f"{data.name}, {evaluation.protocol}: {data.test_events:,} events of {data.test_users:,} users, "
            f"{data.items:,} items"
        )
        console.print(_rich(title, ("model", *SHOWN), _ranking_rows(evaluation.models, SHOWN), width))
        rows = _list_rows(evaluation.models)
        console.print(_rich("lists of ten", ("model", *LISTS), rows, width))
        if any(model.verdicts for model in evaluation.models):
            rows = _verdict_rows(evaluation.models)
            console.print(_rich("like or dislike", ("model", *VERDICTS), rows, width))
        for name, problem in evaluation.failed.items():
            console.print(f"{name}: {problem}", markup=False, highlight=False)
    for replay in findings.replays:
        names = ("shown", *_replay_names(replay))
        console.print(_rich(_replay_title(replay), names, _replay_rows(replay), width))


def _rich(title: str, names: Sequence[str], rows: Rows, width: int) -> Table:
    table = Table(title=title, title_justify="left")
    whole = [names, *rows]
    kept = 0
    for number, name in enumerate(names):
        # A cell stands between two blanks and a line.
        width -= max(len(row[number]) for row in whole) + 3
        if number > 1 and width < 1:
            break
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
        kept += 1
    for row in whole[1:]:
        table.add_row(*row[:kept])
    return table


def _evaluation(evaluation: Evaluation) -> list[str]:
    models, data = evaluation.models, evaluation.data
    out = [f"<h2>{escape(data.name)}, {escape(evaluation.protocol)}</h2>", _facts(evaluation)]
    if not models:
        return out
    out += ["<h3>Ranking of all items</h3>", _table(("model", *RANKING), _ranking_rows(models, RANKING))]
    out.append(
        '<p class="note">Full ranking, ties against the model. ± is the deviation between seeds. Bars: '
        f"{HEADLINE} with 95 % intervals, drawn by user.</p>"
    )
    out.append(bars([_bar(model.name, model.ranking[HEADLINE]) for model in models]))
    out += _against(models)
    out += ["<h3>Lists of ten</h3>", _table(("model", *LISTS), _list_rows(models))]
    out += _slices(models)
    out += _verdicts(models)
    seconds = [
        (model.name, f"{model.learn_seconds:.1f}", f"{model.score_seconds:.1f}", str(model.seeds))
        for model in models
    ]
    out += ["<h3>Seconds of CPU</h3>", _table(("model", "to learn", "to score the test", "seeds"), seconds)]
    if evaluation.failed:
        failed = [(name, problem) for name, problem in evaluation.failed.items()]
        out += ["<h3>Not measured</h3>", _table(("model", "why"), failed)]
    return out


def _facts(evaluation: Evaluation) -> str:
    data = evaluation.data
    rows = [
        ("users, items, events", f"{data.users:,}, {data.items:,}, {data.events:,}"),
        ("items with a description", f"{data.described_items:,}"),
        ("events of training, validation, test",
         f"{data.train_events:,}, {data.validation_events:,}, {data.test_events:,}"),
        ("users of the test", f"{data.test_users:,}"),
        ("seen items", "left out" if evaluation.hide_seen else "ranked as well"),
        ("fingerprint of the data", data.fingerprint),
        ("versions", ", ".join(f"{name} {number}" for name, number in evaluation.versions.items())),
    ]  # fmt: skip
    return _table(("", ""), rows)


def _bar(name: str, figure: Figure) -> Bar:
    return Bar(name, figure.mean, figure.low, figure.high)


def _ranking_rows(models: Sequence[ModelResult], names: Sequence[str]) -> Rows:
    return [(model.name, *(_figure(model.ranking.get(name)) for name in names)) for model in models]


def _list_rows(models: Sequence[ModelResult]) -> Rows:
    return [(model.name, *(_figure(model.lists.get(name), 3) for name in LISTS)) for model in models]


def _verdict_rows(models: Sequence[ModelResult]) -> Rows:
    return [
        (model.name, *(f"{model.verdicts.figures[name]:.3f}" for name in VERDICTS))
        for model in models
        if model.verdicts is not None
    ]


def _figure(figure: Figure | None, digits: int = 4) -> str:
    if figure is None:
        return NOTHING
    spread = f" ± {figure.deviation:.{digits}f}" if figure.deviation else ""
    return f"{figure.mean:.{digits}f}{spread}"


def _against(models: Sequence[ModelResult]) -> list[str]:
    found = [(model.name, one) for model in models for one in model.against]
    if not found:
        return []
    other = found[0][1].model
    rows = [
        (name, one.metric, f"{one.mean:+.4f}", f"{one.low:+.4f} to {one.high:+.4f}", f"{one.p:.4f}")
        for name, one in found
    ]
    names = ("model", "metric", "difference", "95 % interval", "p")
    shown = [Bar(name, one.mean, one.low, one.high) for name, one in found if one.metric == HEADLINE]
    note = f"On the same events, users drawn with all of theirs. Bars: {HEADLINE}."
    return [
        f"<h3>Less {escape(other)}</h3>",
        _table(names, rows),
        f'<p class="note">{note}</p>',
        bars(shown),
    ]


def _slices(models: Sequence[ModelResult]) -> list[str]:
    out = []
    groups = dict.fromkeys(one.group for model in models for one in model.slices)
    for group in groups:
        names = list(
            dict.fromkeys(one.name for model in models for one in model.slices if one.group == group)
        )
        events = {one.name: one.events for model in models for one in model.slices if one.group == group}
        rows, series = [], {}
        for model in models:
            found = {one.name: one for one in model.slices if one.group == group}
            if not found:
                continue
            rows.append((model.name, *(_slice(found.get(name)) for name in names)))
            series[model.name] = [
                (float(place), found[name].metrics[HEADLINE])
                for place, name in enumerate(names)
                if name in found
            ]
        heads = [f"{name} ({events[name]:,})" for name in names]
        out += [f"<h3>{HEADLINE} by {escape(group)}</h3>", _table(("model", *heads), rows)]
        if len(names) > 1:
            out.append(lines(series, (group, HEADLINE), names))
    return out


def _slice(found: Slice | None) -> str:
    return NOTHING if found is None else f"{found.metrics[HEADLINE]:.4f}"


def _verdicts(models: Sequence[ModelResult]) -> list[str]:
    told = [(model.name, model.verdicts) for model in models if model.verdicts is not None]
    if not told:
        return []
    out = ["<h3>Like or dislike</h3>", _table(("model", *VERDICTS), _verdict_rows(models))]
    first = told[0][1]
    note = f"{first.events:,} events with a verdict, {first.figures['liked']:.1%} of them likes."
    out.append(f'<p class="note">{note} A constant guess of that share has the roc_auc .5.</p>')
    series = {name: [(one.told, one.found) for one in verdict.calibration] for name, verdict in told}
    out.append(
        lines({"calibrated": [(0.0, 0.0), (1.0, 1.0)], **series}, ("probability told", "part of likes"))
    )
    for name, verdict in told:
        report = f"<pre>{escape(verdict.report)}</pre>"
        out.append(f"<details><summary>{escape(name)}: {escape(verdict.source)}</summary>{report}</details>")
    return out


def _replay(replay: ReplayResult) -> list[str]:
    points = [(place / 10, value) for place, value in enumerate(replay.by_tenth)]
    return [
        f"<h2>{escape(_replay_title(replay))}</h2>",
        _table(("shown", *_replay_names(replay)), _replay_rows(replay)),
        '<p class="note">Every event was foretold by the slate that its user was sent last, then learnt, by '
        f"the whole pipeline. {replay.answered:.1%} of the events had a slate before them.</p>",
        lines({replay.name: points}, ("part of the replay", "hr@10")),
    ]


def _replay_title(replay: ReplayResult) -> str:
    return f"{replay.data}, prequential, {replay.name}: {replay.events:,} events of {replay.users:,} users"


def _replay_names(replay: ReplayResult) -> list[str]:
    return list(replay.figures[0].metrics)


def _replay_rows(replay: ReplayResult) -> Rows:
    names = _replay_names(replay)
    return [
        (one.name, *(f"{one.metrics[name]:.4f}" if name in one.metrics else NOTHING for name in names))
        for one in replay.figures
    ]


def _table(names: Sequence[str], rows: Rows) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
