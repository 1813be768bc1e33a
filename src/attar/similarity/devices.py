"""Nearest centres by torch: on a GPU, or on a CPU by the same code."""

from collections.abc import Callable

from attar.core.errors import EngineError, MissingExtraError
from attar.similarity.matrix import Matrix


def cuda() -> bool:
    """Whether torch is there and sees such a device."""
    try:
        import torch
    except ModuleNotFoundError:
        return False
    return torch.cuda.is_available()


def on_device(centres: Matrix, half: Matrix, device: str) -> Callable[[Matrix], tuple[Matrix, Matrix]]:
    """Of a block of rows the number of each one's nearest centre, and their product less `half`."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtraError("torch", "local") from error
    try:
        there, less = torch.from_numpy(centres).to(device).T, torch.from_numpy(half).to(device)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(f"device {device!r}: {str(error).splitlines()[0]}") from error

    def found(block: Matrix) -> tuple[Matrix, Matrix]:
        near, label = (torch.from_numpy(block).to(device) @ there).sub_(less).max(dim=1)
        return label.cpu().numpy(), near.cpu().numpy()

    return found
