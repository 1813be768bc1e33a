"""Nearest centres by torch (k-means assignment): on a GPU, or on a CPU by the same code."""

from collections.abc import Callable

from attar.core.errors import EngineError, MissingExtraError
from attar.similarity.matrix import Matrix


def has_cuda() -> bool:
    """True if torch is installed and finds a CUDA device."""
    try:
        import torch
    except ModuleNotFoundError:
        return False
    return torch.cuda.is_available()


def centre_finder(centres: Matrix, half: Matrix, device: str) -> Callable[[Matrix], tuple[Matrix, Matrix]]:
    """A function: rows (n, width) -> each row's nearest centre (n,), and the maximum of row.centre - half (n,).

    With half = |centre|^2 / 2, the largest row.centre - half is the smallest Euclidean distance.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtraError("torch", "local") from error
    try:
        columns = torch.from_numpy(centres).to(device).T
        offsets = torch.from_numpy(half).to(device)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(f"device {device!r}: {str(error).splitlines()[0]}") from error

    def assign(block: Matrix) -> tuple[Matrix, Matrix]:
        score, label = (torch.from_numpy(block).to(device) @ columns).sub_(offsets).max(dim=1)
        return label.cpu().numpy(), score.cpu().numpy()

    return assign
