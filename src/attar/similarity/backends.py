"""The fastest arithmetic there is here, or the one that is asked for: numpy, torch on a CPU or a GPU, 8 bits."""

from attar.core.errors import EngineError, MissingExtraError
from attar.similarity.products import Arithmetic, Backend, Numpy, Torch


def arithmetic(backend: Backend = "auto") -> Arithmetic:
    """The fastest there is, or the one that is asked for."""
    if backend == "numpy":
        return Numpy()
    try:
        import torch
    except ModuleNotFoundError as error:
        if backend == "auto":
            return Numpy()
        raise MissingExtraError("torch", "local") from error
    if backend == "cuda" or (backend == "auto" and torch.cuda.is_available()):
        if not torch.cuda.is_available():
            raise EngineError("backend 'cuda': torch sees no such device here; leave `backend` out to take what there is")
        return Torch("cuda")
    brain = backend in ("bfloat16", "int8") or (backend == "auto" and torch.cpu._is_avx512_bf16_supported())
    return Torch(brain=brain, short=_steps(backend) if backend in ("auto", "int8") else None)


def _steps(backend: Backend) -> Arithmetic | None:
    """Products in 8 bits, if there are any."""
    from attar.similarity.int8 import Steps, exact

    if not exact():
        if backend == "int8":
            raise EngineError("backend 'int8': this processor has no such products; leave `backend` out to take what there is")
        return None
    return Steps()
