"""Training of one member: epochs, precision, gradient accumulation, the best epoch."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader

from stages.lib.errors import TrainingError
from stages.lib.execution import Execution
from stages.lib.lstm import MemberLSTM
from stages.lib.settings import TrainSettings
from stages.lib.windows import Windows, shuffled_loader

AUTOCAST_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
VALIDATION_BATCH = 1024


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
    """The best epoch of one member, by validation loss, and how training went.

    Attributes
    ----------
    seq_length : int
        L, the purchases it reads.
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
        return min(self.history, key=lambda epoch: epoch.val_loss)


def choose_device(use_gpu: bool) -> torch.device:
    """CUDA when `use_gpu` asks for it and there is one, else the CPU."""
    return torch.device("cuda" if use_gpu and torch.cuda.is_available() else "cpu")


def member_seed(seed: int, ensemble: str, seq_length: int) -> int:
    """The seed of one member, 0 to 2**63 - 1: neither order nor number of members changes what it draws."""
    digest = hashlib.sha256(f"{seed}/{ensemble}/{seq_length}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def check_precision(precision: str, device: torch.device) -> None:
    """Run one forward and backward step of a tiny model in `precision`.

    Raises
    ------
    TrainingError
        If this machine cannot train in `precision` on `device`, with the reason.
    """
    if precision == "fp16" and device.type == "cpu":
        raise TrainingError("precision fp16 needs a GPU (found none in use): choose fp32 or bf16, or use_gpu on one")
    try:
        model = MemberLSTM(1, 4, 1).to(device)
        with torch.autocast(device.type, AUTOCAST_DTYPES[precision], enabled=precision != "fp32"):
            loss = model(torch.zeros(2, 3, 1, device=device)).sum()
        loss.backward()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise TrainingError(f"precision {precision} does not run on {device.type} here: {reason}") from None


class MemberTrainer:
    """One member in training.

    Parameters
    ----------
    windows : Windows
        All windows of one length; only those of `train` are learned from, those of `val` are measured on.
    ensemble : str
        Which ensemble the member belongs to.
    settings : TrainSettings
        How to train.
    execution : Execution
        How batches are loaded.
    """

    def __init__(self, windows: Windows, ensemble: str, settings: TrainSettings, execution: Execution) -> None:
        self.ensemble = ensemble
        self.seq_length = windows.seq_length
        self.settings = settings
        self.train_set, self.val_set = windows.part("train"), windows.part("val")
        self.device = choose_device(settings.use_gpu)
        if self.device.type == "cuda":
            torch.use_deterministic_algorithms(True)
        seed = member_seed(settings.seed, ensemble, self.seq_length)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = MemberLSTM(windows.inputs.shape[2], settings.hidden_size, settings.num_layers)
        self.model = model.to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=settings.lr, fused=True)
        # Loss scaling keeps small fp16 gradients from vanishing (Micikevicius et al. 2018, "Mixed Precision Training").
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "fp16")
        self.loader = shuffled_loader(
            self.train_set,
            settings.batch_size,
            torch.Generator().manual_seed(seed),
            execution.num_workers,
            execution.pin_memory and self.device.type == "cuda",
            execution.prefetch_factor,
        )

    def train(self, on_epoch: Callable[[Epoch], None]) -> TrainedMember:
        """Train all epochs, call `on_epoch` after each, and keep the best by validation loss.

        Raises
        ------
        TrainingError
            If a loss is NaN or infinite; no model comes of it.
        """
        history, best_state, best_logits = [], {}, torch.empty(0)
        best_loss = math.inf
        for number in range(1, self.settings.epochs + 1):
            train_loss = self._train_epoch(self.loader)
            logits = self._validate()
            targets = self.val_set.targets
            val_loss = binary_cross_entropy_with_logits(logits, targets).item()
            val_accuracy = ((logits > 0) == (targets > 0.5)).float().mean().item()
            epoch = Epoch(self.ensemble, self.seq_length, number, train_loss, val_loss, val_accuracy)
            if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
                raise TrainingError(
                    f"{self.ensemble} L={self.seq_length} epoch {number}: loss is not finite "
                    f"(train {train_loss}, validation {val_loss}): lower lr, or precision fp32"
                )
            if val_loss < best_loss:
                best_loss, best_logits = val_loss, logits
                best_state = {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}
            history.append(epoch)
            on_epoch(epoch)
        return TrainedMember(self.seq_length, best_state, history, best_logits)

    def _train_epoch(self, loader: DataLoader) -> float:
        """One pass over the training windows; the mean loss per window, each with the weights it was met with."""
        self.model.train()
        steps, batch_size, n_left = self.settings.grad_accum_steps, self.settings.batch_size, len(self.train_set)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for index, (inputs, targets) in enumerate(loader):
            if index % steps == 0:
                # Each sample of a group weighs the same, also in the last group, which may be smaller.
                n_group = min(steps * batch_size, n_left)
                self.optimizer.zero_grad(set_to_none=True)
            inputs, targets = (tensor.to(self.device, non_blocking=True) for tensor in (inputs, targets))
            loss = self._loss_sum(inputs, targets)
            self.scaler.scale(loss / n_group).backward()
            total += loss.detach()
            n_left -= len(targets)
            if (index + 1) % steps == 0 or n_left == 0:
                self.scaler.step(self.optimizer)
                self.scaler.update()
        return total.item() / len(self.train_set)

    def _loss_sum(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return binary_cross_entropy_with_logits(self._logits(inputs), targets, reduction="sum")

    def _logits(self, inputs: torch.Tensor) -> torch.Tensor:
        precision = self.settings.precision
        with torch.autocast(self.device.type, AUTOCAST_DTYPES[precision], enabled=precision != "fp32"):
            return self.model(inputs).float()

    def _validate(self) -> torch.Tensor:
        """Logits of shape (n_val,) for the windows of `val`, in time order, on the CPU."""
        self.model.eval()
        with torch.inference_mode():
            batches = [self._logits(inputs.to(self.device)) for inputs in self.val_set.inputs.split(VALIDATION_BATCH)]
        return torch.cat(batches).cpu()
