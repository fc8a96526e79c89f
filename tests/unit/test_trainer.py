"""Training: it learns what can be learnt, comes to the same again, and goes on where it was cut off."""

import itertools
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from state.errors import LearningError
from state.layout import SHARED_DIM
from state.learning import contenders
from state.learning.checkpoints import CHECKPOINT
from state.learning.dropout import Dropout
from state.learning.interactions import Interactions, ItemContent, interactions_of
from state.learning.interest import InterestShape
from state.learning.losses import LossSettings, Objective, sampled_softmax
from state.learning.metrics import per_event
from state.learning.optimiser import OptimiserSettings
from state.learning.protocol import Task
from state.learning.ranks import RankingOptions, rank
from state.learning.sasrec import SasShape
from state.learning.sequences import NO_ITEM, Pieces, events_of, training_pieces
from state.learning.sequential import ABLATION, KINDS, Plan, build, train
from state.learning.splits import Split, leave_one_out
from state.learning.trainer import Aside, Schedule

CPU = torch.device("cpu")
GROUPS, GROUP, EVENTS = 6, 8, 14
ITEMS = GROUPS * GROUP


def walks(users: int = 90, seed: int = 0) -> Interactions:
    """Each user walks round one group of items: what comes next follows from what came last."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, ITEMS, users)
    steps = np.arange(EVENTS)
    group = (first // GROUP * GROUP)[:, None]
    item = group + (first[:, None] + steps) % GROUP
    return interactions_of(
        {
            "user": np.repeat(np.arange(users), EVENTS),
            "item": item.ravel(),
            "time_ms": np.tile(steps * 60_000, users) + 1_600_000_000_000,
            "action": np.full(users * EVENTS, 2),
        },
        [f"user-{at}" for at in range(users)],
        [f"item-{at}" for at in range(ITEMS)],
    )


def task(split: Split, content: ItemContent | None = None, seed: int = 0) -> Task:
    return Task(split.train, split.validation, content, seed)


def plan(kind: str, epochs: int = 6) -> Plan:
    fast = OptimiserSettings(rate=1e-2, warm_up=5)
    return Plan(kind, schedule=Schedule(epochs=epochs, batch=16, length=32, optimiser=fast))


SPLIT = leave_one_out(walks(60))


@pytest.mark.parametrize("kind", KINDS)
def test_learns_what_follows(kind: str) -> None:
    made = train(plan(kind, epochs=10), task(SPLIT), lambda done: None, CPU)
    found = per_event(rank(made.recommender, SPLIT.test, RankingOptions(hide_seen=False)))
    assert found["hr@5"].mean() > 0.35  # chance is .1
    assert made.outcome.course.losses[-1] < made.outcome.course.losses[0]
    assert set(made.outcome.profile) == {"batch", "forward", "backward", "optimiser", "validation"}


class Cut(Exception):
    """What ends a training from outside."""


def test_the_baseline_attends_in_training_as_when_it_is_asked() -> None:
    shape = SasShape(dropout=0.0)
    made = build(Plan("sasrec", sasrec=shape), task(SPLIT), CPU)
    batch = training_pieces(SPLIT.train, events_of(SPLIT.train), 32, 0).batch(np.arange(5))
    with torch.inference_mode():
        training = made.train()(batch, made.candidates()).queries
        asked = made.eval()(batch, made.candidates()).queries
    torch.testing.assert_close(training, asked, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("made", [Plan(kind) for kind in KINDS] + [Plan(interest=InterestShape(review=1))])
def test_what_is_told_after_some_events_is_what_is_told_after_all(made: Plan) -> None:
    model = build(made, task(SPLIT), CPU).eval()
    batch = training_pieces(SPLIT.train, events_of(SPLIT.train), 32, 0).batch(np.arange(5), model.multiple)
    asked = torch.tensor([4, 0, 2, 0]), torch.tensor([3, 7, 0, 1])
    with torch.inference_mode():
        whole, some = model(batch, model.candidates()), model(batch, model.candidates(), asked)
    torch.testing.assert_close(some.queries, whole.queries[asked])
    torch.testing.assert_close(some.user, whole.user[asked])


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_was_cut_off_comes_to_the_same(kind: str, tmp_path: Path) -> None:
    whole = train(plan(kind, 2), task(SPLIT), lambda done: None, CPU)

    def stop(done: float) -> None:
        if done > 0.7:
            raise Cut

    with pytest.raises(Cut):
        train(plan(kind, 2), task(SPLIT), stop, CPU, Aside(tmp_path))
    told: list[float] = []
    again = train(plan(kind, 2), task(SPLIT), told.append, CPU, Aside(tmp_path))
    assert told[0] > 0.5
    assert told == sorted(told)
    assert again.outcome.course.losses == whole.outcome.course.losses
    for name, number in whole.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], number, rtol=0, atol=0)


def test_times_are_of_what_was_trained_since_it_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("state.learning.trainer.time.process_time", lambda: next(ticks))

    def stop(done: float) -> None:
        if done > 0.7:
            raise Cut

    with pytest.raises(Cut):
        train(plan("gru4rec", 2), task(SPLIT), stop, CPU, Aside(tmp_path))
    again = train(plan("gru4rec", 2), task(SPLIT), lambda done: None, CPU, Aside(tmp_path))
    assert again.outcome.course.epoch == 2
    assert set(again.outcome.profile.values()) == {1000.0}


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(plan("gru4rec", 1), task(SPLIT), lambda done: None, CPU, Aside(tmp_path))
    with pytest.raises(LearningError, match="other data, another model or other settings"):
        train(plan("sasrec", 1), task(SPLIT), lambda done: None, CPU, Aside(tmp_path))
    (tmp_path / CHECKPOINT).write_bytes(b"broken")
    with pytest.raises(LearningError, match=CHECKPOINT):
        train(plan("gru4rec", 1), task(SPLIT), lambda done: None, CPU, Aside(tmp_path))


def test_seeds_tell_models_apart() -> None:
    first, second = (build(plan("interest"), task(SPLIT, seed=seed), CPU) for seed in (1, 2))
    again = build(plan("interest"), task(SPLIT, seed=1), CPU)
    assert not torch.equal(first.tower.embedding, second.tower.embedding)
    assert torch.equal(first.tower.embedding, again.tower.embedding)


def test_training_ends_where_validation_gets_no_better() -> None:
    still = msgspec.structs.replace(
        plan("gru4rec", 50).schedule, optimiser=OptimiserSettings(rate=0.0), patience=2
    )
    made = train(Plan("gru4rec", schedule=still), task(SPLIT), lambda done: None, CPU)
    assert (made.outcome.course.best_epoch, made.outcome.course.epoch) == (1, 3)


def test_items_that_training_never_saw_are_found_by_their_content() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(GROUPS, SHARED_DIM))
    vectors = np.zeros((ITEMS, 4, SHARED_DIM), np.float32)
    vectors[:, 0] = centres[np.arange(ITEMS) // GROUP] + rng.normal(size=(ITEMS, SHARED_DIM)) * 0.3
    vectors /= np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-9)
    content = ItemContent(vectors, vectors.any(axis=2), ((),) * ITEMS)
    cold = np.arange(ITEMS) % GROUP == 0
    source = walks()
    split = leave_one_out(source)
    seen = split.train.subset(~cold[split.train.item])
    made = train(plan("interest", 4), Task(seen, split.validation, content, 0), lambda done: None, CPU)
    scores = made.recommender.scores(split.test.histories())
    own = scores[:, cold].argmax(axis=1)
    assert (own == split.test.items // GROUP).mean() > 0.8


def test_what_a_user_turned_away_is_not_recommended_again() -> None:
    """Each user takes items of a group and skips the one item that stands for the group beside."""
    source = walks()
    skips = np.arange(len(source)) % EVENTS % 4 == 3
    action = np.where(skips, 5, 2).astype(np.uint8)
    beside = ((source.item // GROUP + 1) % GROUPS * GROUP).astype(np.int32)
    told = replace(source, action=action, item=np.where(skips, beside, source.item).astype(np.int32))
    split = leave_one_out(told)
    ranked = {}
    for avoid in (True, False):
        schedule = msgspec.structs.replace(plan("interest", 3).schedule, loss=LossSettings(avoid=avoid))
        made = train(Plan(schedule=schedule), task(split), lambda done: None, CPU)
        scores = made.recommender.scores(split.test.histories())
        skipped = ((split.test.items // GROUP + 1) % GROUPS) * GROUP
        own = scores[np.arange(len(scores)), skipped]
        ranked[avoid] = (scores > own[:, None]).sum(axis=1).mean()
    assert ranked[True] > ranked[False] + 5


def test_who_rejects_some_of_what_they_choose_is_still_shown_the_like_of_it() -> None:
    """Three in five of what each user takes of a group they dislike, once they know it."""
    source = walks()
    disliked = np.random.default_rng(1).random(len(source)) < 0.6
    disliked[source.starts[1:] - 1] = False
    told = replace(source, action=np.where(disliked, 4, 2).astype(np.uint8))
    split = leave_one_out(told)
    made = train(plan("interest", 2), task(split, seed=1), lambda done: None, CPU)
    scores = made.recommender.scores(split.test.histories())
    above = (scores > scores[np.arange(len(scores)), split.test.items][:, None]).sum(axis=1)
    assert above.mean() < 5


def test_every_event_with_one_before_it_is_foretold_once() -> None:
    source = walks(users=7)
    events = events_of(source)
    for seed in range(3):
        pieces = training_pieces(source, events, 5, seed)
        told = []
        for chosen in pieces.batches(3, seed):
            batch = pieces.batch(chosen)
            told += batch.wanted[batch.wanted >= 0].tolist()
        wanted = [item for user in range(7) for item in source.item[user * EVENTS + 1 : (user + 1) * EVENTS]]
        assert sorted(told) == sorted(wanted)


@pytest.mark.parametrize("events", [1, 2, 5, 13])
def test_what_is_read_together_is_no_more_than_was_asked_for_the_fill_among_it(events: int) -> None:
    source = walks(users=40)
    first = np.repeat(source.starts[:-1], 10)
    pieces = Pieces(events_of(source), first, first + events, np.ones(len(source), np.bool_), first)
    together = [pieces.batch(chosen, 16).item.numel() for chosen in pieces.longest_first(256, 16)]
    assert sum(together) >= 400 * events
    assert max(together) <= 256


def test_the_sampled_softmax_is_unbiased_where_all_are_drawn() -> None:
    """With every other item drawn once, it is the softmax over all."""
    torch.manual_seed(0)
    queries, items = torch.randn(5, 8), torch.randn(11, 8)
    targets = torch.tensor([0, 3, 10, 3, 7])
    same = targets[:, None] == torch.arange(11)
    corrections = torch.zeros(5, 11).masked_fill(same, torch.inf)
    got = sampled_softmax(queries, items[targets], items, (torch.zeros(5), corrections))
    wanted = torch.nn.functional.cross_entropy(queries @ items.T, targets, reduction="none")
    torch.testing.assert_close(got, wanted)


def test_the_evaluation_knows_every_model_and_part() -> None:
    assert tuple(ABLATION) == contenders.ABLATION
    for name in (*KINDS, *(f"interest/{part}" for part in ABLATION)):
        contenders.contender(name)


def test_the_whole_softmax_has_the_slopes_of_cross_entropy() -> None:
    split = leave_one_out(walks(users=20))
    made = build(plan("gru4rec"), task(split), CPU).eval()
    counts = torch.from_numpy(split.train.counts)
    pieces = training_pieces(split.train, events_of(split.train), 32, 0)
    batch = pieces.batch(np.arange(5))
    Objective(made, LossSettings(taken=True), counts)(batch).backward()
    slope = made.embedding.grad.clone()
    made.embedding.grad = None
    told = made(batch, made.candidates())
    asked = batch.wanted >= 0
    column = torch.searchsorted(made.candidates(), batch.wanted[asked])
    torch.nn.functional.cross_entropy(told.queries[asked] @ told.vectors.T, column).backward()
    torch.testing.assert_close(slope, made.embedding.grad, rtol=1e-4, atol=1e-6)


def test_what_a_user_had_taken_is_no_wrong_answer_to_a_new_item() -> None:
    split = leave_one_out(walks(users=20))
    made = build(plan("gru4rec"), task(split), CPU).eval()
    pieces = training_pieces(split.train, events_of(split.train), 5, 0)
    batch = pieces.batch(np.arange(12))
    found = Objective(made, LossSettings(), torch.from_numpy(split.train.counts))(batch).item()
    told = made(batch, made.candidates())
    losses = []
    for row, column in torch.nonzero(batch.wanted >= 0).tolist():
        end = int(pieces.first[row]) + column + 1
        taken = split.train.item[split.train.starts[split.train.user[end - 1]] : end].tolist()
        target = int(batch.wanted[row, column])
        items = [item for item in made.candidates().tolist() if target in taken or item not in taken]
        columns = torch.searchsorted(made.candidates(), torch.tensor(items))
        logits = told.queries[row, column] @ told.vectors[columns].T
        losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(items.index(target))).item())
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("whole_until", [0, ITEMS])
def test_who_has_taken_all_items_but_one_has_no_wrong_answer_left(whole_until: int) -> None:
    made = build(plan("gru4rec"), task(SPLIT), CPU).eval()
    pieces = training_pieces(SPLIT.train, events_of(SPLIT.train), 32, 0)
    batch = pieces.batch(np.arange(1))
    items = made.candidates()
    wanted = torch.full_like(batch.wanted, NO_ITEM)
    wanted[0, 3] = items[0]
    batch = batch._replace(wanted=wanted, earlier=items[None, 1:])
    counts = torch.from_numpy(SPLIT.train.counts)
    found = {
        taken: Objective(made, LossSettings(whole_until=whole_until, taken=taken), counts)(batch).item()
        for taken in (False, True)
    }
    assert found[False] == pytest.approx(0, abs=1e-6)
    assert found[True] > 1


def test_more_items_than_a_whole_softmax_takes_are_sampled() -> None:
    few = LossSettings(whole_until=10, negatives=32)
    schedule = msgspec.structs.replace(plan("interest", 5).schedule, loss=few)
    made = train(Plan(schedule=schedule), task(SPLIT), lambda done: None, CPU)
    found = per_event(rank(made.recommender, SPLIT.test, RankingOptions(hide_seen=False)))
    assert found["hr@5"].mean() > 0.35  # chance is .1


def test_dropout_hides_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(4)
    made, values = Dropout(0.3), torch.full((400, 501), 2.0)
    out = made(values)
    assert (out == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    assert out.mean().item() == pytest.approx(2.0, abs=0.02)
    assert len(out.unique()) == 2
    assert not torch.equal(out, made(values))
    assert torch.equal(Dropout(0.0)(values), values)
    assert torch.equal(made.eval()(values), values)


def test_events_are_hidden_from_training_steps_alone() -> None:
    shape = InterestShape(dropout=0.0, modality_dropout=0.0, id_dropout=0.0, event_dropout=1.0)
    made = build(Plan(interest=shape), task(SPLIT), CPU)
    pieces = training_pieces(SPLIT.train, events_of(SPLIT.train), 32, 0)
    batch = pieces.batch(np.arange(5), made.multiple)
    with torch.inference_mode():
        assert not made.train()(batch, made.candidates()).user.any()
        assert made.eval()(batch, made.candidates()).user.norm(dim=-1)[:, 0].allclose(torch.ones(5))


def test_nothing_to_learn_is_told() -> None:
    one = walks(users=4).subset(np.arange(0, 4 * EVENTS, EVENTS))
    with pytest.raises(LearningError, match="nothing to learn"):
        train(plan("gru4rec"), Task(one, SPLIT.validation, None, 0), lambda done: None, CPU)
