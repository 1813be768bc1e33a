"""Choose the arithmetic for matrix products: numpy, torch on a CPU or a GPU, bfloat16, int8, or the fastest available."""

from attar.core.errors import EngineError, MissingExtraError
from attar.similarity.products import Arithmetic, Backend, Numpy, Torch


def choose_arithmetic(backend: Backend = "auto") -> Arithmetic:
    """The arithmetic of a backend; "auto" takes the fastest on this machine."""
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
            raise EngineError("backend 'cuda': torch finds no CUDA device; omit `backend` to use what is available")
        return Torch("cuda")
    bfloat16 = backend in ("bfloat16", "int8") or (backend == "auto" and torch.cpu._is_avx512_bf16_supported())
    return Torch(bfloat16=bfloat16, short=_int8_products(backend) if backend in ("auto", "int8") else None)


def _int8_products(backend: Backend) -> Arithmetic | None:
    """int8 products, or None where the processor lacks them."""
    from attar.similarity.int8 import Int8Products, is_supported

    if not is_supported():
        if backend == "int8":
            raise EngineError("backend 'int8': this processor has no VNNI products; omit `backend` to use what is available")
        return None
    return Int8Products()
