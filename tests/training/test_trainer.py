import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from boomerang.base.errors import TrainingError
from boomerang.base.execution import Execution
from boomerang.model.lstm import MemberLSTM
from boomerang.model.windows import cut_windows
from boomerang.training.trainer import MemberTrainer, learning_rate, member_seed
from tests.training.support import SETTINGS, some_windows

EXECUTION = Execution(jobs=1)


def train(windows=None, **changes):
    windows = some_windows() if windows is None else windows
    trainer = MemberTrainer(windows, "time", SETTINGS.model_copy(update=changes), EXECUTION)
    while not trainer.finished:
        trainer.run_epoch()
    return trainer.result()


def part(windows, name):
    start, end = windows.bounds[name]
    return windows.inputs[start:end], windows.targets[start:end]


def test_training_agrees_with_a_plain_loop():
    windows = some_windows()
    trained = train(windows)

    seed = member_seed(0, "time", 3)
    torch.manual_seed(seed)
    model = MemberLSTM(2, 4, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(seed)
    (train_inputs, train_targets), (val_inputs, val_targets) = part(windows, "train"), part(windows, "val")
    for epoch in trained.history:
        total = 0.0
        for batch in torch.randperm(len(train_targets), generator=generator).split(8):
            samples = [train_inputs[index] for index in batch]
            targets = torch.stack([train_targets[index] for index in batch])
            probabilities = torch.sigmoid(model(torch.stack(samples)))
            loss = torch.nn.BCELoss()(probabilities, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        with torch.no_grad():
            logits = model(val_inputs)
        assert epoch.train_loss == pytest.approx(total / len(train_targets), rel=1e-4)
        assert epoch.val_loss == pytest.approx(binary_cross_entropy_with_logits(logits, val_targets).item(), rel=1e-4)
        right = [(logit > 0).item() == (target == 1).item() for logit, target in zip(logits, val_targets, strict=True)]
        assert epoch.val_accuracy == pytest.approx(sum(right) / 10)


@pytest.mark.parametrize("grad_accum_steps", [1, 3])
def test_equal_windows_that_are_merged_train_the_same_member(grad_accum_steps):
    returned = torch.tensor([0, 1, 1, 0, 1, 0, 0, 0, 1, 0] * 6, dtype=torch.float32)
    windows = cut_windows(returned[:, None], returned, {"train": 40, "val": 10, "test": 10}, 3)
    settings = SETTINGS.model_copy(update={"grad_accum_steps": grad_accum_steps, "batch_size": 8})
    merged, plain = (MemberTrainer(windows, "simple", settings, EXECUTION) for _ in range(2))
    assert len(next(iter(merged.loader)).inputs) < 8
    plain.train_set.window_ids = None
    assert len(next(iter(plain.loader)).inputs) == 8
    for _ in range(3):
        ours, expected = merged.run_epoch(), plain.run_epoch()
        assert ours.train_loss == pytest.approx(expected.train_loss, rel=1e-5)
        assert ours.val_loss == pytest.approx(expected.val_loss, rel=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_best_epoch_by_validation_loss_is_kept(precision):
    """The loss is that of a prediction: in fp32, whatever the member learned in."""
    windows = some_windows()
    trained = train(windows, epochs=12, lr=0.2, precision=precision)
    best = min(epoch.val_loss for epoch in trained.history)
    assert best < trained.history[-1].val_loss, "the case must have a best epoch that is not the last"
    model = MemberLSTM(2, 4, 1)
    model.load_state_dict(trained.state)
    inputs, targets = part(windows, "val")
    with torch.no_grad():
        logits = model(inputs)
    assert binary_cross_entropy_with_logits(logits, targets).item() == pytest.approx(best, rel=1e-5)
    torch.testing.assert_close(trained.val_logits, logits)
    assert trained.best.val_loss == best


@pytest.mark.parametrize("batch_size", [1, 3, 5])
def test_accumulated_gradients_weigh_every_sample_alike(batch_size):
    # 37 training windows in one group: the same single step as one batch of 37, the last, smaller batch included.
    windows = some_windows()
    whole = train(windows, epochs=1, batch_size=37)
    steps = math.ceil(37 / batch_size)
    parts = train(windows, epochs=1, batch_size=batch_size, grad_accum_steps=steps)
    for name, tensor in whole.state.items():
        torch.testing.assert_close(parts.state[name], tensor, rtol=1e-4, atol=1e-6)


def test_last_partial_group_takes_its_step():
    windows = some_windows()
    # Groups of 32 and 5 samples, as batches of 32 are.
    grouped = train(windows, epochs=1, batch_size=8, grad_accum_steps=4)
    plain = train(windows, epochs=1, batch_size=32)
    for name, tensor in plain.state.items():
        torch.testing.assert_close(grouped.state[name], tensor, rtol=1e-4, atol=1e-6)


def test_training_learns_what_can_be_learned():
    returned = torch.tensor([0, 0, 1], dtype=torch.float32).repeat(60)
    windows = cut_windows(returned[:, None], returned, {"train": 120, "val": 30, "test": 30}, 3)
    trained = train(windows, epochs=30, hidden_size=8)
    assert trained.best.val_loss < 0.05
    assert trained.best.val_accuracy == 1


def test_rows_after_validation_change_nothing():
    windows, other = some_windows(), some_windows()
    start, end = other.bounds["test"]
    other.targets[start:end] = 1 - other.targets[start:end]
    other.inputs[end - 1, -1] = 1e6
    assert all(torch.equal(tensor, train(other).state[name]) for name, tensor in train(windows).state.items())


def test_seeds_differ_by_seed_ensemble_and_length_and_stay():
    seeds = {member_seed(seed, name, length) for seed in (0, 1) for name in ("time", "simple") for length in (2, 3)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert member_seed(0, "time", 2) == 223437497916194988


def test_training_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train()
    assert torch.equal(torch.rand(1), expected)


def test_loss_that_is_not_finite_stops_with_the_place():
    windows = some_windows()
    windows.inputs[0, 0, 0] = math.inf
    with pytest.raises(TrainingError, match=r"time L=3 epoch 1: loss is not finite \(train nan"):
        train(windows)


def test_a_member_stops_after_epochs_without_a_better_one():
    trained = train(epochs=40, lr=0.2, early_stopping_patience=3)
    assert len(trained.history) == trained.best.epoch + 3 < 40
    whole = train(epochs=40, lr=0.2)
    assert trained.history == whole.history[: len(trained.history)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", [0.1, 0.1, 0.1, 0.1]), ("cosine", [0.1, 0.0853553, 0.05, 0.0146447])],
)
def test_the_learning_rate_of_each_epoch(schedule, expected):
    settings = SETTINGS.model_copy(update={"epochs": 4, "lr": 0.1, "lr_schedule": schedule})
    assert [learning_rate(settings, epoch) for epoch in (1, 2, 3, 4)] == pytest.approx(expected, abs=1e-7)


def test_the_schedule_reaches_the_optimizer():
    falling, constant = train(epochs=2, lr_schedule="cosine"), train(epochs=2)
    assert falling.history[0] == constant.history[0]
    assert falling.history[1] != constant.history[1]
