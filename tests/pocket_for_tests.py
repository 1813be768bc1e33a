"""Engines on pocket models in this process, and questions of the pocket world to ask them."""

from attar.engines.base import Request, Sampling, Spec
from attar.engines.local.engine import Local
from attar.stages.evaluate.benchmarks import pocket_exam

QUESTIONS = pocket_exam.tasks(count=30)["prompt"].to_list()


def pocket(name="teacher", **options):
    return Local(Spec("local", f"pocket:{name}", {"dtype": "float64", **options}))


def asked(**over):
    sampling = Sampling(**{"max_tokens": 60, **over})
    return [Request(i, messages=({"role": "user", "content": q},), sampling=sampling, seed=i) for i, q in enumerate(QUESTIONS)]
