"""`penchant evaluate`: from a folder to tables, figures as JSON, and a page that needs nothing but itself."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from state.learning import evaluation
from state.learning.contenders import Contender
from state.learning.dataset import Dataset
from state.learning.evaluation import EvaluationOptions, Evaluator
from state.learning.interactions import Float32
from state.learning.protocol import Histories, Recommender, Task, Tell
from state.learning.reading import ReadingOptions, read_dataset
from state.learning.splits import leave_one_out, temporal
from streams.cli import cli
from streams.evaluation import Findings
from streams.evaluation_report import page, show
from streams.report_plots import Bar, bars, lines
from tests.made_interactions import Size, content, write_recbole

SIZE = Size(60, 80, 1_500)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("made")
    write_recbole(at, SIZE)
    return at


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    return read_dataset(folder)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in ("evaluate", *arguments)])


class Page(HTMLParser):
    """Open tags, what refers to anything outside, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in (
            "meta",
            "rect",
            "line",
            "circle",
            "polyline",
        ) and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("rect", "line", "circle", "polyline"):
            return
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_a_folder_is_measured_and_told_in_tables_json_and_a_page(folder: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "figures.json", tmp_path / "report.html"
    models = "random,popularity,item-knn"
    result = run("--from", folder, "--models", models, "--seeds", 2, "--json", out, "--report", report)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert [one["protocol"] for one in found["evaluations"]] == ["leave-one-out", "temporal"]
    for one in found["evaluations"]:
        assert one["data"]["users"] == SIZE.users
        by_name = {model["name"]: model for model in one["models"]}
        assert set(by_name) == set(models.split(","))
        assert by_name["random"]["seeds"] == 2
        assert by_name["random"]["ranking"]["ndcg@10"]["deviation"] > 0
        assert by_name["popularity"]["seeds"] == 1
        ranked = [model["ranking"]["ndcg@10"]["mean"] for model in one["models"]]
        assert ranked == sorted(ranked, reverse=True)
        best = one["models"][0]
        assert best["name"] == "item-knn"
        assert not best["against"]
        assert {each["model"] for each in by_name["random"]["against"]} == {"item-knn"}
        assert by_name["random"]["against"][1]["high"] < 0
    shown = Page(report.read_text())
    assert not shown.open
    assert not shown.references
    text = " ".join(shown.text)
    assert "item-knn" in text
    assert f"{found['evaluations'][0]['models'][0]['ranking']['ndcg@10']['mean']:.4f}" in text
    assert not re.search(r"https?://|url\(|@import", report.read_text())
    assert "item-knn" in result.output
    assert f"{found['evaluations'][1]['models'][0]['ranking']['hr@20']['mean']:.4f}" in result.output


def test_a_narrow_terminal_gets_whole_cells_of_fewer_columns(dataset: Dataset) -> None:
    split = leave_one_out(dataset.interactions)
    found = Evaluator(split, None, EvaluationOptions(("item-knn",)), lambda name, part: None).run(dataset)
    shown = io.StringIO()
    show(Findings("x", [found]), Console(file=shown, width=40, force_terminal=True))
    figures = found.models[0].ranking
    assert f"{figures['ndcg@10'].mean:.4f}" in shown.getvalue()
    assert "item-knn" in shown.getvalue()
    assert "hr@20" not in shown.getvalue()


def test_so_many_test_events_are_taken_evenly(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    arguments = ("--from", folder, "--protocol", "temporal", "--models", "popularity", "--json", out)
    assert run(*arguments, "--targets", 50).exit_code == 0
    data = json.loads(out.read_text())["evaluations"][0]["data"]
    assert (data["test_events"], data["train_events"]) == (50, 1_050)
    assert data["test_users"] > 20


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--from", "nowhere"), "nowhere: there is no such file or folder"),
        (("--from", "{folder}", "--models", "svd"), "'svd' is neither a model nor a folder"),
        (("--from", "{folder}", "--models", " , "), "--models: name one model at least"),
        (
            ("--from", "{folder}", "--models", "random", "--test-share", "0.95"),
            "shares of test and validation",
        ),
        (("--from", "{folder}", "--models", "random", "--min-user", "900"), "no event is left"),
        (
            ("--from", "{folder}", "--models", "random", "--json", "/no/such/folder/x.json"),
            "there is no folder",
        ),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    folder: Path, arguments: tuple[str, ...], told: str
) -> None:
    result = run(*(one.replace("{folder}", str(folder)) for one in arguments))
    assert result.exit_code == 2
    assert told in result.output
    assert len(result.output.strip().splitlines()) == 1


def measured(dataset: Dataset, **options: object) -> tuple[Evaluator, Findings]:
    chosen = EvaluationOptions(**options)
    told: list[float] = []
    evaluator = Evaluator(
        leave_one_out(dataset.interactions), content(SIZE), chosen, lambda name, part: told.append(part)
    )
    found = evaluator.run(dataset)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    return evaluator, Findings("penchant evaluate", [found])


def test_items_held_out_are_told_by_content_and_by_nothing_else(dataset: Dataset) -> None:
    _, findings = measured(
        dataset, models=("random", "popularity", "item-knn", "recency-mean"), cold=True, seeds=1
    )
    cold = {
        model.name: {one.name: one.metrics for one in model.slices if one.group == "items held out"}
        for model in findings.evaluations[0].models
    }
    for known_by_id in ("popularity", "item-knn"):
        assert cold[known_by_id]["among all items"]["hr@20"] == 0
    by_content = cold["recency-mean"]["among themselves"]["mrr"]
    assert by_content > cold["random"]["among themselves"]["mrr"]
    assert by_content > cold["popularity"]["among themselves"]["mrr"]


def test_models_by_content_are_measured_with_modalities_taken_away(dataset: Dataset) -> None:
    _, findings = measured(dataset, models=("popularity", "recency-mean"), missing=True, seeds=1)
    by_name = {
        model.name: [one for one in model.slices if one.group == "modalities missing"]
        for model in findings.evaluations[0].models
    }
    assert not by_name["popularity"]
    curve = [one.metrics["hr@20"] for one in by_name["recency-mean"]]
    assert [one.name for one in by_name["recency-mean"]] == ["0%", "30%", "60%"]
    assert curve[0] > curve[2]
    assert "modalities missing" in page(findings)


class Telling:
    """Knows what the user will say."""

    name = "telling"

    def scores(self, histories: Histories) -> Float32:
        return np.zeros((len(histories), SIZE.items), np.float32)

    def likes(self, histories: Histories, items: np.ndarray) -> Float32:
        value = histories.source.value[histories.end]
        return (value >= 4).astype(np.float32) * 0.8 + 0.1


def telling(task: Task, tell: Tell) -> Recommender:
    return Telling()


def test_a_model_that_tells_likes_is_asked_for_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "contender", lambda name: (Contender("unused"), telling))
    dataset = read_dataset(folder, ReadingOptions(dislike_to=3))
    split = temporal(dataset.interactions)
    found = Evaluator(split, None, EvaluationOptions(("telling",)), lambda name, part: None).run(dataset)
    verdicts = found.models[0].verdicts
    assert verdicts is not None
    assert verdicts.source == "told by the model"
    assert verdicts.figures["roc_auc"] == 1.0
    assert verdicts.figures["ece"] == pytest.approx(0.1)
    assert found.models[0].ranking["hr@20"].mean == 0
    assert "classification" not in page(Findings("x", [found]))
    assert "macro avg" in page(Findings("x", [found]))


def test_a_model_that_cannot_be_learnt_leaves_the_others(dataset: Dataset) -> None:
    split = leave_one_out(dataset.interactions)
    options = EvaluationOptions(("recency-mean", "popularity"))
    found = Evaluator(split, None, options, lambda name, part: None).run(dataset)
    assert [model.name for model in found.models] == ["popularity"]
    assert "nothing is told" in found.failed["recency-mean"]
    assert "Not measured" in page(Findings("x", [found]))


def test_plots_hold_their_points_and_escape_their_names() -> None:
    drawn = bars([Bar("<a&b>", 0.5, 0.4, 0.6), Bar("less", -0.25)])
    assert "&lt;a&amp;b&gt;" in drawn
    assert "<a&b>" not in drawn
    assert drawn.count("<rect") == 2
    line = lines({"one": [(0.0, 1.0), (1.0, 3.0)], "two": [(0.0, 0.0)]}, ("x", "y"), ("first", "last"))
    assert line.count("<polyline") == 2
    assert line.count("<circle") == 3
    assert "first" in line
    assert lines({}, ("x", "y")) == ""
