"""Training of one member: epochs, learning rate, gradient accumulation, the best epoch."""

import hashlib
import math
from dataclasses import dataclass
from typing import cast

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from boomerang.base.errors import TrainingError
from boomerang.base.execution import Execution
from boomerang.base.settings import TrainSettings
from boomerang.model.devices import choose_device, make_deterministic
from boomerang.model.lstm import MemberLSTM
from boomerang.model.windows import AnyWindows
from boomerang.training.adam import Adam
from boomerang.training.backends import choose_backend
from boomerang.training.batches import WindowDataset
from boomerang.training.loaders import shuffled_loader

VALIDATION_BATCH_SIZE = 1024


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch of one member; losses are mean binary cross-entropy in nats, accuracy is at 0.5."""

    ensemble: str
    seq_length: int
    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class TrainedMember:
    """One member as it was after its best epoch, by validation loss, and how training went.

    Attributes
    ----------
    seq_length : int
        L, the number of past purchases that the member reads.
    state : dict of str to Tensor
        State dict of `MemberLSTM`, float32 on the CPU.
    history : list of Epoch
        Every epoch, in order.
    val_logits : Tensor of shape (n_val,), float32
        The best epoch's logits for the windows of `val`, in time order.
    """

    seq_length: int
    state: dict[str, torch.Tensor]
    history: list[Epoch]
    val_logits: torch.Tensor

    @property
    def best(self) -> Epoch:
        """The first epoch with the lowest validation loss."""
        return _best_epoch(self.history)


def _best_epoch(history: list[Epoch]) -> Epoch:
    return min(history, key=lambda epoch: epoch.val_loss)


def _copy_state(model: MemberLSTM) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.named_parameters()}


def member_seed(seed: int, ensemble: str, seq_length: int) -> int:
    """The seed of one member, 0 to 2**63 - 1; it depends on neither the order nor the number of members."""
    digest = hashlib.sha256(f"{seed}/{ensemble}/{seq_length}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def learning_rate(settings: TrainSettings, epoch: int) -> float:
    """The learning rate of an epoch, counted from 1.

    The schedule `cosine` falls from `lr` towards 0 along half a cosine, ``lr (1 + cos(pi (epoch - 1) / epochs)) / 2``,
    without restarts (Loshchilov and Hutter 2017, "SGDR"). The rate depends on the number of the epoch alone, so it
    needs no state.
    """
    if settings.lr_schedule == "constant":
        return settings.lr
    return settings.lr * (1 + math.cos(math.pi * (epoch - 1) / settings.epochs)) / 2


class MemberTrainer:
    """One member in training.

    Parameters
    ----------
    windows : Windows or KnownPastWindows
        All windows of one length. The member learns from those of `train` and is measured on those of `val`.
    ensemble : str
        The ensemble that the member belongs to.
    settings : TrainSettings
        How the member is trained.
    execution : Execution
        How batches are loaded.

    Attributes
    ----------
    history : list of Epoch
        The epochs so far.
    """

    def __init__(self, windows: AnyWindows, ensemble: str, settings: TrainSettings, execution: Execution) -> None:
        self.ensemble = ensemble
        self.seq_length = windows.seq_length
        self.settings = settings
        self.history: list[Epoch] = []
        self.train_set, self.val_set = WindowDataset(windows, "train"), WindowDataset(windows, "val")
        self.val_targets = self.val_set.targets
        self.val_chosen, self.val_positions = self.val_set.distinct_windows()
        self.device = choose_device(settings.use_gpu)
        make_deterministic(self.device)
        seed = member_seed(settings.seed, ensemble, self.seq_length)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = MemberLSTM(windows.n_features, settings.hidden_size, settings.num_layers)
        self.model = model.to(self.device)
        self.best_state = _copy_state(self.model)
        self.best_logits = torch.zeros(len(self.val_set))
        self.optimizer = Adam(dict(self.model.named_parameters()), settings.lr)
        # Loss scaling keeps small fp16 gradients from vanishing (Micikevicius et al. 2018, "Mixed Precision Training").
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "fp16")
        self.backend = choose_backend(self.model, settings.precision, self.scaler)
        self.order_generator = torch.Generator().manual_seed(seed)
        self.loader = shuffled_loader(
            self.train_set,
            settings.batch_size,
            self.order_generator,
            execution.num_workers,
            execution.pin_memory and self.device.type == "cuda",
            execution.prefetch_factor,
        )

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the last `early_stopping_patience` epochs brought no better one."""
        patience, n_done = self.settings.early_stopping_patience, len(self.history)
        stalled = patience > 0 and n_done > 0 and n_done - _best_epoch(self.history).epoch >= patience
        return stalled or n_done >= self.settings.epochs

    def run_epoch(self) -> Epoch:
        """Train and validate one more epoch, and keep its state if it is the best so far by validation loss.

        Raises
        ------
        TrainingError
            If a loss is NaN or infinite.
        """
        number = len(self.history) + 1
        self.optimizer.lr = learning_rate(self.settings, number)
        train_loss = self._train_epoch()
        logits = self._validate()
        val_loss = binary_cross_entropy_with_logits(logits, self.val_targets).item()
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            raise TrainingError(
                f"{self.ensemble} L={self.seq_length} epoch {number}: loss is not finite "
                f"(train {train_loss}, validation {val_loss}): lower lr, or precision fp32"
            )
        val_accuracy = ((logits > 0) == (self.val_targets > 0.5)).float().mean().item()
        self.history.append(Epoch(self.ensemble, self.seq_length, number, train_loss, val_loss, val_accuracy))
        if _best_epoch(self.history).epoch == number:
            self.best_logits = logits
            self.best_state = _copy_state(self.model)
        return self.history[-1]

    def result(self) -> TrainedMember:
        """The member after the best of the epochs so far."""
        return TrainedMember(self.seq_length, self.best_state, self.history, self.best_logits)

    def _train_epoch(self) -> float:
        """Pass over the training windows once.

        Returns
        -------
        float
            Mean loss per window, each with the weights that the model had when it met the window.
        """
        self.model.train()
        steps, batch_size, n_left = self.settings.grad_accum_steps, self.settings.batch_size, len(self.train_set)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for index, batch in enumerate(self.loader):
            if index % steps == 0:
                # Every sample weighs the same in the sum of gradients, also in the last sum, which may have fewer.
                n_group_samples = min(steps * batch_size, n_left)
                self.backend.zero_grad()
            total += self.backend.add_gradient(batch, n_group_samples)
            n_left -= min(batch_size, n_left)
            if (index + 1) % steps == 0 or n_left == 0:
                # `GradScaler` works on any optimizer that has `step` and `param_groups`.
                self.scaler.step(cast(torch.optim.Optimizer, self.optimizer))
                self.scaler.update()
        return total.item() / len(self.train_set)

    def _validate(self) -> torch.Tensor:
        """Logits of shape (n_val,) for the windows of `val`, in time order, on the CPU."""
        self.model.eval()
        chunks = torch.split(self.val_chosen, VALIDATION_BATCH_SIZE)
        batches = [self.backend.logits(self.val_set.gather(chunk)) for chunk in chunks]
        return torch.cat(batches).cpu()[self.val_positions]
