import io

import numpy as np
import pytest
import torch

from boomerang.base.errors import ArtifactError
from boomerang.model import tensors
from boomerang.model.known_past_windows import KnownPastWindows
from boomerang.model.lengths import known_past_ladder, known_past_lengths, length_ladder, usable_lengths
from boomerang.model.window_inputs import window_ids
from boomerang.model.windows import cut_windows, read_windows

N_ROWS = {"train": 6, "val": 2, "test": 2}


def cut(seq_length, n_features=2, n_steps=None, n_past=None):
    stream = torch.arange(10 * n_features, dtype=torch.float32).reshape(10, n_features)
    returned = torch.tensor([0, 1, 0, 0, 1, 1, 0, 1, 0, 1], dtype=torch.float32)
    return stream, returned, cut_windows(stream, returned, N_ROWS, seq_length, n_steps, n_past)


@pytest.mark.parametrize("seq_length", [1, 2, 5])
def test_windows_agree_with_plain_indexing(seq_length):
    stream, returned, windows = cut(seq_length)
    assert windows.inputs.shape == (10 - seq_length, seq_length, 2)
    for index in range(10 - seq_length):
        assert torch.equal(windows.inputs[index], stream[index : index + seq_length])
        assert windows.targets[index] == returned[index + seq_length]


@pytest.mark.parametrize("seq_length", [1, 2, 5])
def test_a_window_can_end_with_the_purchase_that_its_target_is_of(seq_length):
    stream, returned, windows = cut(seq_length, n_steps=seq_length + 1)
    assert windows.inputs.shape == (10 - seq_length, seq_length + 1, 2)
    for index in range(10 - seq_length):
        assert torch.equal(windows.inputs[index], stream[index : index + seq_length + 1])
        assert windows.targets[index] == returned[index + seq_length]
    assert windows.bounds == cut(seq_length)[2].bounds


@pytest.mark.parametrize("seq_length", [1, 2, 4])
def test_windows_that_need_a_purchase_more_begin_with_the_second_one(seq_length):
    stream, returned, windows = cut(seq_length, n_steps=seq_length + 1, n_past=seq_length + 1)
    assert windows.inputs.shape == (9 - seq_length, seq_length + 1, 2)
    for index in range(9 - seq_length):
        assert torch.equal(windows.inputs[index], stream[index + 1 : index + seq_length + 2])
        assert windows.targets[index] == returned[index + seq_length + 1]
    # One training window fewer; those of the other parts are the same.
    others = cut(seq_length, n_steps=seq_length + 1)[2]
    for part, n_fewer in (("train", 1), ("val", 0), ("test", 0)):
        start, end = windows.bounds[part]
        expected = slice(others.bounds[part][0] + n_fewer, others.bounds[part][1])
        assert torch.equal(windows.inputs[start:end], others.inputs[expected])
        assert torch.equal(windows.targets[start:end], others.targets[expected])
    # What is written does not hold the first purchase either.
    assert windows.inputs.untyped_storage().nbytes() == 9 * 2 * 4


def test_a_window_belongs_to_the_part_of_its_target():
    _, _, windows = cut(3)
    assert windows.bounds == {"train": (0, 3), "val": (3, 5), "test": (5, 7)}
    assert windows.targets.tolist() == [0, 1, 1, 0, 1, 0, 1]
    # The first validation window reaches back into the training rows.
    assert windows.inputs[3, :, 0].tolist() == [6, 8, 10]


def test_every_length_validates_on_the_same_targets():
    for length in (1, 2, 5):
        _, _, windows = cut(length)
        start, end = windows.bounds["val"]
        assert windows.targets[start:end].tolist() == [0, 1]


def test_a_file_of_windows_grows_with_the_rows_not_with_the_length(tmp_path):
    stream, returned = torch.zeros(5000, 6), torch.zeros(5000)
    n_rows = {"train": 4000, "val": 500, "test": 500}
    sizes = [len(cut_windows(stream, returned, n_rows, length).to_bytes()) for length in (2, 500)]
    assert sizes[1] <= sizes[0] <= 5000 * 7 * 4 + 4096


def test_windows_survive_being_written_and_read_memory_mapped(tmp_path):
    _, _, windows = cut(3)
    path = tmp_path / "seq3.pt"
    path.write_bytes(windows.to_bytes())
    found = read_windows(path)
    assert torch.equal(found.inputs, windows.inputs)
    assert torch.equal(found.targets, windows.targets)
    assert (found.bounds, found.seq_length) == (windows.bounds, 3)
    assert windows.to_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("n_train_rows", "max_seq_cap", "expected"),
    [
        (10, 128, [2]),
        (3500, 128, [2, 3, 5, 8, 12]),
        (17000, 128, [2, 3, 5, 8, 12, 18, 27, 41, 62]),
        (10**7, 30, [2, 3, 5, 8, 12, 18, 27]),
        (10**7, 1, [1]),
    ],
)
def test_ladder_grows_with_the_data_up_to_the_cap(n_train_rows, max_seq_cap, expected):
    assert length_ladder(n_train_rows, max_seq_cap) == expected


def test_lengths_that_cannot_be_used_are_named_with_the_reason():
    lengths, dropped = usable_lengths([48, 2, 200, 49], n_train_rows=50, max_seq_cap=128)
    assert lengths == [2, 48]
    assert dropped == {
        200: "above max_seq_cap 128",
        49: "needs at least 51 training purchases, there are 50",
    }


def damaged_windows():
    _, _, windows = cut(3)
    good = dict(vars(windows))
    yield b""
    yield windows.to_bytes()[:200]
    for change in (
        {"inputs": windows.inputs[0]},
        {"inputs": windows.inputs.double()},
        {"inputs": windows.inputs.to("meta")},
        {"targets": windows.targets.to_sparse()},
        {"targets": windows.targets[1:]},
        {"bounds": {"train": (0, 3)}},
        {"bounds": {"train": (0, 3), "val": (3, 5), "test": (5, 70)}},
        {"seq_length": 4},
        {"seq_length": 1},
        {"seq_length": 3.0},
        {"seq_length": "x" * 10_000},
        {"more": 1},
    ):
        buffer = io.BytesIO()
        torch.save(good | change, buffer)
        yield buffer.getvalue()


@pytest.mark.parametrize("content", list(damaged_windows()))
def test_a_file_that_holds_no_windows_is_refused(tmp_path, content):
    path = tmp_path / "seq3.pt"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"seq3\.pt does not hold windows: ") as refused:
        read_windows(path)
    assert "\n" not in str(refused.value)


def test_a_missing_file_of_windows_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"seq3\.pt does not hold windows: "):
        read_windows(tmp_path / "seq3.pt")


@pytest.mark.parametrize("seq_length", [1, 2, 3, 4, 5, 7, 8, 13, 60])
@pytest.mark.parametrize("n_groups", [1, 7])
def test_windows_are_numbered_alike_only_where_they_are_equal(seq_length, n_groups):
    draw = np.random.default_rng(seq_length)
    stream = draw.integers(0, 2, 60).astype(np.float32)
    begins = np.sort(np.r_[0, draw.choice(np.arange(1, 60), n_groups - 1, replace=False)])
    firsts = begins[np.searchsorted(begins, np.arange(60), side="right") - 1]
    ids = window_ids(stream, firsts, seq_length)
    windows = [tuple(stream[max(firsts[last], last - seq_length + 1) : last + 1]) for last in range(60)]
    for number, window in zip(ids, windows, strict=True):
        assert [number == other for other in ids] == [window == other for other in windows]


def known_past(seq_length, own=True):
    """Three groups of 3, 0 and 2 known purchases; the targets know 0, 2, 3, 0 and 1 of their own."""
    stream = np.arange(10, dtype=np.float32).reshape(5, 2)
    starts, ends = np.array([0, 0, 0, 3, 3]), np.array([0, 2, 3, 3, 4])
    owns = 100 + np.arange(10, dtype=np.float32).reshape(5, 2) if own else np.zeros((0, 2), dtype=np.float32)
    bounds = {"train": (0, 3), "val": (3, 4), "test": (4, 5)}
    return KnownPastWindows.cut(stream, owns, (starts, ends), np.array([0, 1, 1, 0, 1]), bounds, seq_length)


def test_a_window_holds_the_latest_known_purchases_and_the_one_in_question_last():
    inputs, n_steps = known_past(2).gather(torch.tensor([0, 1, 2, 4]))
    assert n_steps.tolist() == [1, 3, 3, 2]
    assert inputs[:, :, 0].tolist() == [[100, 0, 0], [0, 2, 102], [2, 4, 104], [6, 108, 0]]


def test_a_window_of_the_next_purchase_may_have_no_step():
    inputs, n_steps = known_past(2, own=False).gather(torch.arange(5))
    assert n_steps.tolist() == [0, 2, 2, 0, 1]
    assert inputs[:, :, 1].tolist() == [[0, 0], [1, 3], [3, 5], [0, 0], [7, 0]]


def test_windows_of_known_pasts_come_back_from_their_file(tmp_path):
    windows = known_past(2)
    (tmp_path / "seq2.pt").write_bytes(windows.to_bytes())
    found = read_windows(tmp_path / "seq2.pt")
    assert isinstance(found, KnownPastWindows)
    assert (found.bounds, found.seq_length, found.width, found.n_features) == (windows.bounds, 2, 3, 2)
    for name in ("stream", "own", "starts", "n_steps", "targets"):
        assert torch.equal(getattr(found, name), getattr(windows, name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_steps": torch.tensor([1, 3, 4, 1, 2], dtype=torch.int16)}, "n_steps must be 0 to L=2"),
        ({"n_steps": torch.tensor([0, 3, 3, 1, 2], dtype=torch.int16)}, "n_steps must be 0 to L=2"),
        ({"starts": torch.tensor([0, 0, 1, 3, 5], dtype=torch.int32)}, "within the stream"),
        ({"starts": torch.tensor([-1, 0, 1, 3, 3], dtype=torch.int32)}, "not negative"),
        ({"starts": torch.zeros(5)}, "tensors must be"),
        ({"targets": torch.zeros(4)}, "of one length"),
        ({"own": torch.zeros((4, 2))}, "own must be one of each window or none"),
        ({"own": torch.zeros((5, 3))}, "of one width"),
        ({"seq_length": 2.0}, "own must be one of each window or none"),
        ({"bounds": {"train": (0, 3), "val": (3, 4), "test": (4, 6)}}, "bounds must divide 5 windows"),
        ({"stream": None}, "dense tensors"),
    ],
)
def test_a_file_that_no_windows_of_known_pasts_made_is_refused(tmp_path, change, message):
    path = tmp_path / "seq2.pt"
    path.write_bytes(tensors.save({**vars(known_past(2)), **change}))
    with pytest.raises(ArtifactError, match=message):
        read_windows(path)


def test_the_ladder_of_known_pasts_ends_where_too_few_windows_are_longer():
    n_known = np.repeat([0, 1, 4, 9], [500, 500, 300, 200])
    assert known_past_ladder(n_known, 128) == [2, 3, 5, 8, 12]
    assert known_past_ladder(n_known[:-1], 128) == [2, 3, 5]
    assert known_past_ladder(n_known, 4) == [2, 3]


def test_lengths_that_hardly_any_window_reaches_are_dropped():
    n_known = np.repeat([0, 1, 4, 9], [500, 500, 300, 199])
    lengths, dropped = known_past_lengths([24, 2, 8, 200], n_known, 128)
    assert lengths == [2, 8]
    assert dropped == {
        24: "needs at least 200 training purchases with more than 8 known purchases before (found 199)",
        200: "above max_seq_cap 128",
    }
    assert known_past_lengths([3], np.array([0, 1]), 128) == ([3], {})
    assert known_past_lengths([3], np.array([0, 0]), 128)[0] == []
