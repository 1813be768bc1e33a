"""The default device of a model in this process."""

from attar.core.errors import MissingExtraError


def best_device() -> str:
    """CUDA if torch sees a device, else MPS, else the CPU."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise MissingExtraError("torch", "local") from error

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
