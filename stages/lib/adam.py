"""Adam, holding the state that torch's functional form of it works on."""

import torch
from torch.optim.adam import adam

BETAS, EPS = (0.9, 0.999), 1e-8


class Adam:
    """`torch.optim.Adam(parameters, lr, fused=True)`, to the bit.

    The class of torch loads its compiler, which nothing here uses, at the first step: a second more for every process
    that trains. It calls the same function as this one.

    Parameters
    ----------
    parameters : dict of str to Parameter
        By name.
    lr : float
        Learning rate.

    Attributes
    ----------
    lr : float
        May be set between steps.
    state : dict of str to dict of str to Tensor
        For each moment, `step`, `exp_avg` and `exp_avg_sq`, that of each parameter (Kingma and Ba 2015, "Adam").
    param_groups : list of dict
        What `torch.amp.GradScaler` asks of an optimizer.
    """

    def __init__(self, parameters: dict[str, torch.nn.Parameter], lr: float) -> None:
        self.lr = lr
        self.parameters = parameters
        self.param_groups = [{"params": list(parameters.values())}]
        self.state = {
            "step": {name: torch.zeros((), device=value.device) for name, value in parameters.items()},
            "exp_avg": {name: torch.zeros_like(value) for name, value in parameters.items()},
            "exp_avg_sq": {name: torch.zeros_like(value) for name, value in parameters.items()},
        }

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter by its gradient; all must have one."""
        step, exp_avg, exp_avg_sq = ([*moment.values()] for moment in self.state.values())
        parameters = self.param_groups[0]["params"]
        adam(
            parameters,
            [parameter.grad for parameter in parameters],
            exp_avg,
            exp_avg_sq,
            [],
            step,
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self.lr,
            weight_decay=0.0,
            eps=EPS,
            maximize=False,
        )
