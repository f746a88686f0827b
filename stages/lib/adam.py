"""Adam, holding the state that torch's kernel for it works on."""

import torch

BETAS, EPS = (0.9, 0.999), 1e-8


class Adam:
    """`torch.optim.Adam(parameters, lr, fused=True)`, to the bit.

    The class of torch loads its compiler, which nothing here uses, at the first step: a second more for every process
    that trains. And it sorts its parameters by device and type at every step, which takes longer than the kernel.

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
        The moments `exp_avg` and `exp_avg_sq` of each parameter (Kingma and Ba 2015, "Adam"), and the number of steps.
    param_groups : list of dict
        What `torch.amp.GradScaler` asks of an optimizer.
    """

    # `GradScaler` then sets `grad_scale` and `found_inf` for a step, and needs not ask the GPU whether a gradient
    # overflowed, and wait for the answer.
    _step_supports_amp_scaling = True

    def __init__(self, parameters: dict[str, torch.nn.Parameter], lr: float) -> None:
        self.lr = lr
        self.parameters = parameters
        self.param_groups = [{"params": list(parameters.values())}]
        values = self.param_groups[0]["params"]
        self.state = {
            "exp_avg": {name: torch.zeros_like(value) for name, value in parameters.items()},
            "exp_avg_sq": {name: torch.zeros_like(value) for name, value in parameters.items()},
            "step": {"all": torch.zeros((), device=values[0].device)},
        }

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter by its gradient; all must have one. Without effect where one overflowed."""
        exp_avg, exp_avg_sq, (step,) = ([*tensors.values()] for tensors in self.state.values())
        parameters = self.param_groups[0]["params"]
        found_inf = getattr(self, "found_inf", None)
        step += 1
        torch._fused_adam_(
            parameters,
            [parameter.grad for parameter in parameters],
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
            # 1 where a gradient overflowed: the kernel left the parameters as they were.
            step -= found_inf.squeeze()
