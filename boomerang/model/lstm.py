"""The model: one LSTM that reads a window and tells how likely the purchase after it is to come back."""

from functools import cached_property

import torch
from torch import nn


class MemberLSTM(nn.Module):
    """LSTM over a window, then one linear layer on its last step.

    The state dict has the keys of an `nn.LSTM` named `lstm` and an `nn.Linear` named `fc` and no others, so any
    program that builds these two layers can load it.

    Parameters
    ----------
    input_size : int
        Features per purchase.
    hidden_size : int
        Width of the hidden state.
    num_layers : int
        LSTM layers on top of each other.
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, 1)

    def forward(self, inputs: torch.Tensor, n_steps: torch.Tensor | None = None) -> torch.Tensor:
        """Logits of the probability that the purchase after each window is returned.

        Parameters
        ----------
        inputs : Tensor of shape (batch, L, input_size), float32
        n_steps : Tensor of shape (batch,), int64, optional
            How many steps of each window there are, the others come after them and are not read; all by default. Of a
            window of no steps the logit is the bias of the linear layer.

        Returns
        -------
        Tensor of shape (batch,)
            Logits; `torch.sigmoid` makes probabilities of them.
        """
        if not inputs.shape[1]:
            return self.fc.bias.expand(len(inputs))
        # `torch.lstm` is the kernel that `nn.LSTM` calls. The checks that `nn.LSTM` makes first take a third of the
        # time of a single window.
        lstm = self.lstm
        zeros = inputs.new_zeros(lstm.num_layers, len(inputs), lstm.hidden_size)
        steps, _, _ = torch.lstm(
            inputs,
            (zeros, zeros),
            self._weights,
            has_biases=True,
            num_layers=lstm.num_layers,
            dropout=0.0,
            train=self.training,
            bidirectional=False,
            batch_first=True,
        )  # (batch, L, hidden)
        if n_steps is None:
            logits: torch.Tensor = self.fc(steps[:, -1]).squeeze(-1)  # (batch,)
            return logits
        # What comes after the last step of a window changes nothing before it.
        last = steps[torch.arange(len(inputs), device=inputs.device), (n_steps - 1).clamp(min=0)]  # (batch, hidden)
        return torch.where(n_steps > 0, self.fc(last).squeeze(-1), self.fc.bias)

    @cached_property
    def _weights(self) -> list[torch.Tensor]:
        return list(self.lstm.parameters())
