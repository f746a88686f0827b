"""A member in training as bytes, and back: training that goes on from them ends as if it had not been interrupted."""

from dataclasses import asdict

import torch

from stages.lib import tensors
from stages.lib.errors import ArtifactError
from stages.lib.training import Epoch, MemberTrainer

# More than an epoch's figures take in a checkpoint.
EPOCH_BYTES = 256


def save(trainer: MemberTrainer) -> bytes:
    """All that the next epoch depends on and all that the result needs."""
    return tensors.save(
        {
            "tensors": {name: tensor.cpu() for name, tensor in _tensors(trainer).items()},
            "history": [asdict(epoch) for epoch in trainer.history],
            "scaler": trainer.scaler.state_dict(),
        }
    )


def resume(trainer: MemberTrainer, content: bytes) -> None:
    """Let a new `trainer` go on from what `save` gave for the same windows and settings.

    Raises
    ------
    ArtifactError
        If the bytes are damaged or not of this member; the trainer is then not to be used.
    """
    own = _tensors(trainer)
    loaded = tensors.load(content, "checkpoint", own, EPOCH_BYTES * trainer.settings.epochs)
    try:
        tensors.check(loaded["tensors"], "checkpoint", own)
        trainer.history = [Epoch(**figures) for figures in loaded["history"]]
        trainer.scaler.load_state_dict(loaded["scaler"])
        trainer.order.set_state(loaded["tensors"]["order"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ArtifactError(f"checkpoint is not one of this member: {error}") from None
    _check_history(trainer)
    for name, tensor in own.items():
        tensor.copy_(loaded["tensors"][name])


def _tensors(trainer: MemberTrainer) -> dict[str, torch.Tensor]:
    """The tensors that make up the trainer's state; the generator's state is a copy, all others are its own."""
    found = {"order": trainer.order.get_state(), "val_logits": trainer.best_logits}
    found |= {f"model.{name}": value.detach() for name, value in trainer.model.named_parameters()}
    found |= {f"best.{name}": value for name, value in trainer.best_state.items()}
    for moment, values in trainer.optimizer.state.items():
        found |= {f"{moment}.{name}": value for name, value in values.items()}
    return found


def _check_history(trainer: MemberTrainer) -> None:
    found = [(epoch.ensemble, epoch.seq_length, epoch.epoch) for epoch in trainer.history]
    expected = [(trainer.ensemble, trainer.seq_length, number) for number in range(1, len(found) + 1)]
    if found != expected or not 0 < len(found) <= trainer.settings.epochs:
        raise ArtifactError(f"checkpoint must hold up to {trainer.settings.epochs} epochs (found {str(found)[:200]})")
