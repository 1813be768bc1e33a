"""Models in this process, by transformers: generation with continuous batching, label probabilities, embeddings, rewards.

Runs on CPU, CUDA or MPS. Options: `device`, `device_map`, `dtype`, `revision`, `slots` (rows at a time), `threads` (CPU),
`thinking`; for embeddings `pool` (`mean`, `last`, `cls`), `longest` (tokens that are read), `prefix` (before each text).
"""

from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import chain, islice
from typing import Any

from attar.chat.templates import Template, load_template
from attar.chat.thoughts import Marks, mark_texts, opened_thought
from attar.core.errors import EngineError, MissingExtraError
from attar.core.fingerprint import fingerprint, folder_fingerprint
from attar.engines import thinking
from attar.engines.base import Reply, Request, Sampling, Spec
from attar.engines.label_tokens import LabelPrompt, answer_space, label_logprobs, tokenize_labels
from attar.engines.local.devices import best_device
from attar.engines.local.hub import fetch_template
from attar.engines.local.pooling import (
    Pooling,
    fetch_small_files,
    identity_parts,
    load_dense_layers,
    prepare_text,
    read_pooling,
    token_limit,
    tokenize_truncated,
)
from attar.engines.local.pretrained import explain_panics, load_config, load_tokenizer, load_weights
from attar.engines.local.spec import LocalOptions, find_model_folder
from attar.engines.local.thought_limit import ThoughtLimit
from attar.engines.options import check_options

_DEFAULT_SLOTS = {"cpu": 256, "mps": 64, "cuda": 512}


class Local:
    """One model in this process; its weights decide which verbs it supports."""

    def __init__(self, spec: Spec) -> None:
        check_options(spec, LocalOptions)
        self.spec = spec
        self.folder = find_model_folder(spec.model)
        self._models: dict[str, Any] = {}

    def identity(self) -> str:
        """A hash of the model's content (for a Hub model its name and revision), the precision and the pooling."""
        options = self.spec.options
        model = self.spec.identity or (
            folder_fingerprint(self.folder) if self.folder else [self.spec.model, options.get("revision")]
        )
        parts = [*identity_parts(self.folder, options), *([shaping] if (shaping := thinking.shaping(options)) else [])]
        return fingerprint("local", model, self._dtype(), options.get("pool", "mean"), *parts)

    def _dtype(self) -> str:
        """The precision: by default float32 on a CPU, else the checkpoint's own."""
        options = self.spec.options
        if dtype := options.get("dtype"):
            return dtype
        return "float32" if (options.get("device") or best_device()) == "cpu" else "auto"

    def close(self) -> None:
        """Free the weights."""
        self._models.clear()

    @cached_property
    def template(self) -> Template:
        """The chat template of the model's folder, or of its tokenizer on the hub, with the options' arguments."""
        template = load_template(self.folder or fetch_template(self.spec.model, self.spec.options.get("revision")))
        return thinking.with_arguments(template, self.spec.options)

    @cached_property
    def marks(self) -> tuple[Marks, ...]:
        """The marks of the model's thoughts; none if it does not think, or has no chat template."""
        try:
            return thinking.marks_of(self.template)
        except EngineError:
            return ()

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        tokenizer = load_tokenizer(self.spec.model, self.folder, self.spec.options.get("revision"))
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    def architectures(self) -> list[str]:
        """The architectures that the model's config names."""
        return load_config(self.spec.model, self.folder, self.spec.options.get("revision")).architectures or []

    def causal(self) -> Any:
        """The language model itself, to train."""
        return self._model("CausalLM")

    def _model(self, head: str) -> Any:
        """The model with a head (`CausalLM`, `SequenceClassification` or none), loaded once."""
        if head not in self._models:
            self._models[head] = self._open(head)
        return self._models[head]

    def _open(self, head: str) -> Any:
        try:
            import torch
            import transformers
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "local") from error
        options = self.spec.options
        if threads := options.get("threads"):
            torch.set_num_threads(threads)
        transformers.utils.logging.disable_progress_bar()
        transformers.utils.logging.set_verbosity_error()
        device = options.get("device") or best_device()
        model, loading = load_weights(
            head,
            self.spec.model,
            self.folder,
            f"{self.spec.model} with {dict(options)}" if options else "",
            dtype=self._dtype(),
            device_map=options.get("device_map"),
            revision=options.get("revision"),
            output_loading_info=True,
            **({"num_labels": 1} if head == "SequenceClassification" else {}),
        )
        try:
            model = (model if options.get("device_map") else model.to(device)).eval()
        except (RuntimeError, AssertionError) as error:  # the device does not exist
            raise EngineError(f"cannot load {self.spec.model} with {dict(options)}: {str(error).splitlines()[0]}") from error
        if missing := sorted(key for key in loading["missing_keys"] if head or not key.startswith("pooler.")):
            verb = {"SequenceClassification": "rewards", "CausalLM": "generation"}.get(head, "embeddings")
            raise EngineError(f"{self.spec.model} is not a model for {verb}: it has no weights for {missing[0]}")
        return model

    def _encode(self, request: Request) -> list[int]:
        """A whole conversation's tokens, or a raw text's."""
        return self.tokens(request.text if request.text is not None else self.template.render(request.messages))

    def _prompt(self, request: Request) -> str:
        """The text that the model continues."""
        if request.text is not None:
            return request.text
        return thinking.render_question(self.template, request.messages, self.spec.options)

    def tokens(self, text: str) -> list[int]:
        """A text's tokens, with exactly one BOS if the model has one."""
        with explain_panics(self.spec.model):
            ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        bos = self.tokenizer.bos_token_id
        if bos is not None and bos in self.tokenizer.encode("") and ids[:1] != [bos]:
            ids.insert(0, bos)
        return ids

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Generated texts, in the order in which they finish."""
        from attar.engines.local.generation import ContinuousBatcher, SequenceState

        model = self._model("CausalLM")
        most = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        too_long: list[Reply] = []
        opened: dict[int, str] = {}

        def jobs() -> Iterator[SequenceState]:
            for request in requests:
                text, sampling = self._prompt(request), request.sampling or Sampling()
                prompt = self.tokens(text)
                if most and len(prompt) >= most:
                    too_long.append(
                        Reply(request.index, error=f"prompt has {len(prompt)} tokens, the model takes at most {most}")
                    )
                    continue
                stop_ids, texts = self._split_stops(sampling)
                stops_at = self._stop_check(texts) if texts else None
                opened[request.index] = opened_thought(text, self.marks)
                limit = self._thought_limit(request, opened[request.index])
                yield SequenceState(request.index, prompt, sampling, stop_ids, request.seed, stops_at, limit)

        slots = self.spec.options.get("slots") or _DEFAULT_SLOTS[model.device.type]
        for job in ContinuousBatcher(model, slots).run(jobs()):
            text = self._decode(job.ids)
            for stop in job.sampling.stop:
                text = text.partition(stop)[0]
            reply = Reply(job.index, text, job.finish, tokens_in=len(job.prompt), tokens_out=len(job.ids))
            yield thinking.with_marks(reply, self.marks, opened.pop(job.index))
            yield from too_long
            too_long.clear()
        yield from too_long

    def _thought_limit(self, request: Request, opened: str) -> ThoughtLimit | None:
        """Counts a thought apart from the answer, where the model may write one first."""
        if not self.marks or request.text is not None or thinking.setting(self.spec.options) == "off":
            return None
        return ThoughtLimit(self._decode, self.marks, opened, thinking.budget(self.spec.options))

    def _decode(self, ids: list[int]) -> str:
        """Tokens as text, without special tokens, except those that mark thoughts."""
        if not self._mark_ids:
            return self.tokenizer.decode(ids, skip_special_tokens=True)
        special = set(self.tokenizer.all_special_ids) - self._mark_ids
        return self.tokenizer.decode([token for token in ids if token not in special])

    @cached_property
    def _mark_ids(self) -> set[int]:
        """The special tokens that are part of a mark of thoughts."""
        tokens = zip(self.tokenizer.all_special_tokens, self.tokenizer.all_special_ids, strict=True)
        return {token_id for token, token_id in tokens if any(token in frame for frame in mark_texts(self.marks))}

    def _split_stops(self, sampling: Sampling) -> tuple[frozenset[int], tuple[str, ...]]:
        """The token ids that end a text, and the stops of several tokens."""
        eos = self._model("CausalLM").generation_config.eos_token_id
        ids = set(eos if isinstance(eos, list) else [eos]) | {self.tokenizer.eos_token_id}
        texts = []
        for stop in sampling.stop:
            pieces = self.tokenizer.encode(stop, add_special_tokens=False)
            if len(pieces) == 1:
                ids.add(pieces[0])
            else:
                texts.append(stop)
        return frozenset(ids - {None}), tuple(texts)

    def _stop_check(self, stops: tuple[str, ...]) -> Callable[[list[int]], bool]:
        """A check if a text ends with a stop; it decodes one token more than the longest stop has characters."""
        reach = max(map(len, stops)) + 1
        return lambda ids: any(stop in self.tokenizer.decode(ids[-reach:]) for stop in stops)

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Log-probabilities of each label as the complete answer, in one forward pass per batch."""
        from attar.engines.local.forward import weigh

        model = self._model("CausalLM")
        longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        for batch in self._batches(requests):
            valid: list[tuple[Request, LabelPrompt]] = []
            for request in batch:
                prompt, ways = label_prompt = self._label_prompt(request)
                if longest and len(prompt) + max(map(len, chain(*ways))) > longest + 1:  # the last token is no input
                    yield Reply(request.index, error=f"prompt has {len(prompt)} tokens, the model takes at most {longest}")
                else:
                    valid.append((request, label_prompt))
            logprobs = weigh(model, [prompt for _, (prompt, _) in valid], [list(chain(*ways)) for _, (_, ways) in valid])
            for (request, (prompt, ways)), logs in zip(valid, logprobs, strict=True):
                weights = label_logprobs(ways, dict(zip(chain(*ways), logs, strict=True)))
                yield Reply(request.index, weights=weights, tokens_in=len(prompt), tokens_out=1)

    def _label_prompt(self, request: Request) -> LabelPrompt:
        text, space = request.text, ""
        if text is None:
            text, space = self._closed_prompt(request), answer_space(self.template)
        return tokenize_labels(self.tokenizer, self.tokens(text), text, request.labels, space)

    def _closed_prompt(self, request: Request) -> str:
        return thinking.render_closed(self.template, request.messages, self.spec.options)

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Unit vectors of texts, with special tokens and truncation by the model's tokenizer; `length` marks truncation."""
        from attar.engines.local.forward import embed

        model, options = self._model(""), self.spec.options
        pooling = read_pooling(self.folder or fetch_small_files(self.spec.model, options.get("revision")), options)
        longest = pooling.longest or token_limit(model, self.tokenizer)
        dense = load_dense_layers(pooling.dense)
        for batch in self._batches(requests):
            rows = self._tokenize_texts(batch, pooling, longest)
            vectors = embed(model, [ids for ids, _ in rows], pooling.how, dense)
            for request, (ids, truncated), vector in zip(batch, rows, vectors, strict=True):
                finish = "length" if truncated else "stop"
                yield Reply(request.index, finish=finish, vector=array("f", vector.tobytes()), tokens_in=len(ids))

    def _tokenize_texts(self, requests: list[Request], pooling: Pooling, longest: int) -> list[tuple[list[int], bool]]:
        """Each text's tokens with the model's special tokens, and whether it was truncated."""
        conversations = [self._encode(request) if request.text is None else None for request in requests]
        texts = [prepare_text(pooling, request.text) for request in requests if request.text is not None]
        with explain_panics(self.spec.model):
            rows = iter(tokenize_truncated(self.tokenizer, texts, longest))
        return [next(rows) if ids is None else (ids[:longest], len(ids) > longest) for ids in conversations]

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """The single logit of a sequence classifier, on whole conversations."""
        from attar.engines.local.forward import reward

        for batch in self._batches(requests):
            ids = [self._encode(request) for request in batch]
            rewards = reward(self._model("SequenceClassification"), ids)
            for request, prompt, value in zip(batch, ids, rewards, strict=True):
                yield Reply(request.index, reward=value, tokens_in=len(prompt))

    def _batches(self, requests: Iterable[Request]) -> Iterator[list[Request]]:
        size = 4 * (self.spec.options.get("slots") or 256)
        stream = iter(requests)
        while batch := list(islice(stream, size)):
            yield batch
