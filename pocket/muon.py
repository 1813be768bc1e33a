"""Muon for the hidden matrices, batched by shape (on a CPU that is what makes tiny matrices quick), AdamW for the rest."""

from collections import defaultdict

import torch
from torch import Tensor, nn


def orthogonal(gradient: Tensor, steps: int = 5) -> Tensor:
    """The nearest orthogonal matrices, by Newton-Schulz iteration."""
    x = gradient / (gradient.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    for _ in range(steps):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * (square @ square)) @ x
    return x.mT if tall else x


class Muon:
    """One step for all matrices of a shape at once."""

    def __init__(self, matrices: list[nn.Parameter], lr: float, momentum: float = 0.95, decay: float = 0.01) -> None:
        shapes = defaultdict(list)
        for matrix in matrices:
            shapes[tuple(matrix.shape)].append(matrix)
        self.stacks = [(same, torch.zeros(len(same), *shape)) for shape, same in shapes.items()]
        self.lr, self.momentum, self.decay = lr, momentum, decay

    @torch.no_grad()
    def step(self, scale: float) -> None:
        """Move every matrix by its orthogonalised momentum."""
        for matrices, velocity in self.stacks:
            gradient = torch.stack([matrix.grad for matrix in matrices if matrix.grad is not None])
            velocity.lerp_(gradient, 1 - self.momentum)
            update = orthogonal(gradient.lerp(velocity, self.momentum))
            update *= max(1.0, update.size(-2) / update.size(-1)) ** 0.5
            for matrix, move in zip(matrices, update, strict=True):
                matrix.mul_(1 - self.lr * scale * self.decay).add_(move, alpha=-self.lr * scale)
