"""The optimiser Adam, on torch's kernel for it."""

from typing import cast

import torch

BETAS, EPS = (0.9, 0.999), 1e-8


class Adam:
    """The same steps as `torch.optim.Adam(parameters, lr, fused=True)`, to the bit.

    torch's class loads torch's compiler at the first step, although nothing here uses it: this costs every process that
    trains a second. It also sorts its parameters by device and type at every step, which takes longer than the kernel.

    Parameters
    ----------
    parameters : dict of str to Parameter
        By name.
    lr : float
        Learning rate.

    Attributes
    ----------
    lr : float
        Learning rate of the next step.
    state : dict of str to dict of str to Tensor
        The moments `exp_avg` and `exp_avg_sq` of each parameter (Kingma and Ba 2015, "Adam"), and the number of steps.
    param_groups : list of dict
        The parameters, in the form that `torch.amp.GradScaler` reads.
    """

    # This tells `GradScaler` to set `grad_scale` and `found_inf` for each step, instead of waiting until the GPU has
    # answered whether a gradient overflowed.
    _step_supports_amp_scaling = True

    def __init__(self, parameters: dict[str, torch.nn.Parameter], lr: float) -> None:
        self.lr = lr
        values: list[torch.Tensor] = list(parameters.values())
        self.param_groups = [{"params": values}]
        self.state = {
            "exp_avg": {name: torch.zeros_like(value) for name, value in parameters.items()},
            "exp_avg_sq": {name: torch.zeros_like(value) for name, value in parameters.items()},
            "step": {"all": torch.zeros((), device=values[0].device)},
        }

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter by its gradient, which all must have; do nothing if a gradient overflowed."""
        exp_avg, exp_avg_sq, (step,) = ([*tensors.values()] for tensors in self.state.values())
        parameters = self.param_groups[0]["params"]
        found_inf = getattr(self, "found_inf", None)
        step += 1
        torch._fused_adam_(
            parameters,
            cast(list[torch.Tensor], [parameter.grad for parameter in parameters]),
            exp_avg,
            exp_avg_sq,
            [],
            [step] * len(parameters),
            lr=self.lr,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=0.0,
            eps=EPS,
            amsgrad=False,
            maximize=False,
            grad_scale=getattr(self, "grad_scale", None),
            found_inf=found_inf,
        )
        if found_inf is not None:
            # It is 1 if a gradient overflowed. The kernel has then left the parameters as they were.
            step -= found_inf.squeeze()
