"""The optimizers of the runs, as one object that knows the rate and the weight decay of every update.

AdamW      for all parameters, weight decay on matrices only
Muon       for the matrices in the blocks, its update scaled to the size of AdamW's (0.2 √max(rows, columns)), momentum
           0.95 with Nesterov; AdamW at the auxiliary rate for embeddings, positions and gains
"""

import numpy as np
import torch

from .sweep import BETAS, RunSpec

MOMENTUM = 0.95


class Optimizer:
    """The parameters of a model under the optimizer that a run declares."""

    def __init__(self, model: torch.nn.Module, spec: RunSpec) -> None:
        updates = np.arange(spec.schedule.total)
        rates, decays = spec.schedule(updates).tolist(), spec.decays.tolist()
        named = dict(model.named_parameters())
        hidden = [p for name, p in named.items() if spec.optimizer == "Muon" and p.dim() == 2 and "blocks." in name]
        taken = set(map(id, hidden))
        matrices = [p for p in named.values() if p.dim() >= 2 and id(p) not in taken]
        gains = [p for p in named.values() if p.dim() < 2]
        outer = rates if spec.auxiliary is None else spec.auxiliary(updates).tolist()
        groups = [{"params": matrices, "weight_decay": 0.0}, {"params": gains, "weight_decay": 0.0}]
        adamw = torch.optim.AdamW(groups, lr=0.0, betas=BETAS, fused=True)
        self.optimizers: list[torch.optim.Optimizer] = [adamw]
        # What each group of parameters gets before every update: rates and, where it decays, weight decays.
        self.courses = [(adamw.param_groups[0], outer, decays), (adamw.param_groups[1], outer, None)]
        if hidden:
            muon = torch.optim.Muon(hidden, lr=0.0, momentum=MOMENTUM, adjust_lr_fn="match_rms_adamw")
            self.optimizers.append(muon)
            self.courses.append((muon.param_groups[0], rates, decays))

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def step(self, update: int) -> None:
        """Make an update, 0-based, at its rates and weight decay."""
        for group, rates, decays in self.courses:
            group["lr"] = rates[update]
            if decays is not None:
                group["weight_decay"] = decays[update]
        for optimizer in self.optimizers:
            optimizer.step()
