"""Attar's embedders against sentence-transformers' `encode`: texts a second of one thread's processor time, and the vectors.

    .venv/bin/python bench/selection/embedding.py POOL.parquet [--column output] [--rows 512] [--cut 256] [--peer PYTHON]

PYTHON is one with sentence-transformers. The model has MiniLM's shape (6 layers, 384 wide, 12 heads, 30,522 words) and random
weights, its words are learnt from the pool: speed and equality need no more. A text's cost is its tokens', so those are told.
The rerun goes through the journal; the letters are of all rows of the column.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import cost
import numpy as np

PEERS = Path(os.environ.get("PEERS", "/tmp/peers"))


def texts(pool: str, column: str, rows: int | None) -> list[str]:
    """Some of a pool's texts, or all."""
    import polars as pl

    found = pl.read_parquet(pool, columns=[column])[column].drop_nulls()
    found = found.filter(found.str.strip_chars() != "")
    return (found.sample(rows, seed=5) if rows else found).to_list()


def make(folder: Path, learnt: list[str], cut: int) -> None:
    """A sentence-transformers folder of a model that knows nothing."""
    import json

    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    words.normalizer, words.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    words.train_from_iterator(learnt, trainers.WordPieceTrainer(vocab_size=30_522, special_tokens=special, show_progress=False))
    words.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=512, **named).save_pretrained(folder)
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    BertModel(BertConfig(vocab_size=30_522, **shape)).save_pretrained(folder)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True}
    for name, said in [("modules", modules), ("sentence_bert_config", {"max_seq_length": cut}), ("1_Pooling/config", pooling)]:
        (folder / f"{name}.json").write_text(json.dumps(said))


def ours(given: list[str], told: argparse.Namespace) -> None:
    """Embed through a journal, twice."""
    import torch

    from attar.engines.base import Request, Spec, in_order
    from attar.engines.journal import Journal
    from attar.engines.journaling import Journaled
    from attar.engines.local.engine import Local

    torch.set_num_threads(1)
    local = Local(Spec("local", told.model, {"dtype": told.dtype, "threads": 1}))
    list(local.embed([Request(0, text="warm")]))
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite")

        def embedded() -> list:
            return in_order(Journaled(local, journal).embed(Request(i, text=text) for i, text in enumerate(given)), len(given))

        replies, seconds = cost.spent(embedded)
        _, again = cost.spent(embedded)
        journal.close()
    rows = np.array([reply.vector for reply in replies], dtype=np.float32)
    np.save(told.out, rows)
    cost.tell(f"attar {told.dtype}", rows, seconds, again=again, tokens=sum(reply.tokens_in for reply in replies) / len(rows))


def theirs(given: list[str], told: argparse.Namespace) -> None:
    """Their own `encode`, at its default batch."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    model = SentenceTransformer(told.model, device="cpu", model_kwargs={"dtype": getattr(torch, told.dtype)})
    model.encode(["warm"])
    rows, seconds = cost.spent(lambda: model.encode(given, normalize_embeddings=True, show_progress_bar=False))
    np.save(told.out, rows)
    cost.tell(f"sentence-transformers {told.dtype}", rows, seconds)


def letters(given: list[str]) -> None:
    """The whole pool by its letters."""
    import polars as pl

    from attar.stages.annotate import embed

    table = pl.DataFrame({"id": [str(i) for i in range(len(given))], "prompt": given})
    made, seconds = cost.spent(lambda: embed.letters(table))
    characters = table["prompt"].str.len_chars().mean()
    cost.tell("attar letters", np.stack(made["embedding"].to_numpy()), seconds, characters=characters)


def compared(told: argparse.Namespace) -> None:
    """Each in a process of its own, and how far their vectors are apart."""
    shared = (told.pool, "--column", told.column)
    line = cost.child(sys.executable, "embedding.py", *shared, "--role", "letters")
    print(f"letters: {line['rows']:,} texts of {line['characters']:,.0f} characters in {line['seconds']:.1f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        model.mkdir()
        make(model, texts(told.pool, told.column, 3_000), told.cut)
        for dtype in ("bfloat16", "float32"):
            more = (*shared, "--rows", told.rows, "--model", model, "--dtype", dtype, "--out")
            own = cost.child(sys.executable, "embedding.py", *more, f"{folder}/ours.npy", "--role", "ours", rounds=told.rounds)
            peer = cost.child(told.peer, "embedding.py", *more, f"{folder}/theirs.npy", "--role", "theirs", rounds=told.rounds)
            apart = np.abs(np.load(f"{folder}/ours.npy") - np.load(f"{folder}/theirs.npy")).max()
            for one in (own, peer):
                print(f"{one['name']:<32} {one['rows'] / one['seconds']:>6.1f} texts/s, {one['peak_mb']:>6,} MB", flush=True)
            print(
                f"  {own['tokens']:.0f} tokens a text, {own['tokens'] * own['rows'] / own['seconds']:,.0f} tokens/s, "
                f"{peer['seconds'] / own['seconds']:.2f}x; a rerun takes {own['again'] / own['rows'] * 1e6:.0f} us a text; "
                f"vectors within {apart:.1e}"
            )


def main() -> None:
    """Compare, or play one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool")
    parser.add_argument("--column", default="output")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--cut", type=int, default=256, help="tokens that are read of each text")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--peer", type=Path, default=PEERS / "embed/.venv/bin/python", help="a python with sentence-transformers"
    )
    for part in ("role", "model", "dtype", "out"):
        parser.add_argument(f"--{part}", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.role is None:
        compared(told)
    elif told.role == "letters":
        letters(texts(told.pool, told.column, None))
    else:
        (ours if told.role == "ours" else theirs)(texts(told.pool, told.column, told.rows), told)


if __name__ == "__main__":
    main()
