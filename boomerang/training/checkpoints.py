"""Save and resume a member in training: if it is resumed, it ends as if it had not been interrupted."""

from dataclasses import asdict

import torch

from boomerang.base.errors import ArtifactError
from boomerang.model import tensors
from boomerang.training.trainer import Epoch, MemberTrainer

# The figures of one epoch take less than this in a checkpoint.
MAX_EPOCH_BYTES = 256


def save(trainer: MemberTrainer) -> bytes:
    """All that the next epochs and the result depend on, as the content of a file."""
    return tensors.save(
        {
            "tensors": {name: tensor.cpu() for name, tensor in _state_tensors(trainer).items()},
            "history": [asdict(epoch) for epoch in trainer.history],
            "scaler": trainer.scaler.state_dict(),
        }
    )


def resume(trainer: MemberTrainer, content: bytes) -> None:
    """Bring a new `trainer` to the state that `save` wrote for the same windows and settings.

    Raises
    ------
    ArtifactError
        If the content is damaged or belongs to another member; the trainer must not be used then.
    """
    state = _state_tensors(trainer)
    loaded = tensors.load(content, "checkpoint", state, MAX_EPOCH_BYTES * trainer.settings.epochs)
    try:
        tensors.validate_state(loaded["tensors"], "checkpoint", state)
        trainer.history = [Epoch(**figures) for figures in loaded["history"]]
        trainer.scaler.load_state_dict(loaded["scaler"])
        trainer.order_generator.set_state(loaded["tensors"]["order_generator"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ArtifactError(f"checkpoint is not one of this member: {error}") from None
    _check_history(trainer)
    for name, tensor in state.items():
        tensor.copy_(loaded["tensors"][name])


def _state_tensors(trainer: MemberTrainer) -> dict[str, torch.Tensor]:
    """The tensors of the trainer's state; that of the random generator is a copy, all others are the trainer's own."""
    state = {"order_generator": trainer.order_generator.get_state(), "val_logits": trainer.best_logits}
    state |= {f"model.{name}": value.detach() for name, value in trainer.model.named_parameters()}
    state |= {f"best.{name}": value for name, value in trainer.best_state.items()}
    for moment, values in trainer.optimizer.state.items():
        state |= {f"{moment}.{name}": value for name, value in values.items()}
    return state


def _check_history(trainer: MemberTrainer) -> None:
    found = [(epoch.ensemble, epoch.seq_length, epoch.epoch) for epoch in trainer.history]
    expected = [(trainer.ensemble, trainer.seq_length, number) for number in range(1, len(found) + 1)]
    if found != expected or not 0 < len(found) <= trainer.settings.epochs:
        raise ArtifactError(f"checkpoint must hold up to {trainer.settings.epochs} epochs (found {str(found)[:200]})")
