"""Settings that train a member in a moment, and windows to train it on."""

import torch

from boomerang.base.settings import TrainSettings
from boomerang.model.windows import cut_windows
from tests.support import SMALL_PARAMS

SETTINGS = TrainSettings(**SMALL_PARAMS["train"] | {"epochs": 3, "batch_size": 8})


def some_windows(seq_length=3, n_rows=60):
    generator = torch.Generator().manual_seed(1)
    stream = torch.rand(n_rows, 2, generator=generator)
    returned = (torch.rand(n_rows, generator=generator) < 0.3).float()
    return cut_windows(stream, returned, {"train": n_rows - 20, "val": 10, "test": 10}, seq_length)
