"""Attar's embedders compared with sentence-transformers' `encode`: texts a CPU-second of one thread, and the vectors.

    .venv/bin/python bench/selection/embedding.py POOL.parquet [--column output] [--rows 512] [--cut 256] [--peer PYTHON]

PYTHON has sentence-transformers. The model has MiniLM's shape (6 layers, 384 wide, 12 heads, 30,522 tokens), random weights and
a tokenizer trained on the pool: speed and equality need no more. A text's cost depends on its tokens, so they are printed. The
rerun is answered by the journal; the character n-gram hashes (`letters`) are of all rows of the column.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import print_vector_cost, run_on_one_thread, timed

PEERS = Path(os.environ.get("PEERS", "/tmp/peers"))


def read_texts(pool: str, column: str, rows: int | None) -> list[str]:
    """Read a sample of a pool's texts, or all."""
    import polars as pl

    texts = pl.read_parquet(pool, columns=[column])[column].drop_nulls()
    texts = texts.filter(texts.str.strip_chars() != "")
    return (texts.sample(rows, seed=5) if rows else texts).to_list()


def make_model(folder: Path, texts: list[str], cut: int) -> None:
    """Write a sentence-transformers folder of an untrained model."""
    import json

    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=30_522, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **named).save_pretrained(folder)
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
    BertModel(BertConfig(vocab_size=30_522, **shape)).save_pretrained(folder)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True}
    files = {"modules": modules, "sentence_bert_config": {"max_seq_length": cut}, "1_Pooling/config": pooling}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def embed_ours(texts: list[str], options: argparse.Namespace) -> None:
    """Embed through a journal, twice."""
    import torch

    from attar.engines.base import Request, Spec, in_order
    from attar.engines.journal import Journal
    from attar.engines.journaling import Journaled
    from attar.engines.local.engine import Local

    torch.set_num_threads(1)
    local = Local(Spec("local", options.model, {"dtype": options.dtype, "threads": 1}))
    list(local.embed([Request(0, text="warm")]))
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite")

        def embed_all() -> list:
            return in_order(Journaled(local, journal).embed(Request(i, text=text) for i, text in enumerate(texts)), len(texts))

        replies, seconds = timed(embed_all)
        _, again = timed(embed_all)
        journal.close()
    rows = np.array([reply.vector for reply in replies], dtype=np.float32)
    np.save(options.out, rows)
    tokens = sum(reply.tokens_in for reply in replies) / len(rows)
    print_vector_cost(f"attar {options.dtype}", rows, seconds, again=again, tokens=tokens)


def embed_theirs(texts: list[str], options: argparse.Namespace) -> None:
    """Embed by their own `encode`, at its default batch."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    model = SentenceTransformer(options.model, device="cpu", model_kwargs={"dtype": getattr(torch, options.dtype)})
    model.encode(["warm"])
    rows, seconds = timed(lambda: model.encode(texts, normalize_embeddings=True, show_progress_bar=False))
    np.save(options.out, rows)
    print_vector_cost(f"sentence-transformers {options.dtype}", rows, seconds)


def embed_letters(texts: list[str]) -> None:
    """Embed all texts by their character n-grams."""
    import polars as pl

    from attar.stages.annotate import embed

    table = pl.DataFrame({"id": [str(i) for i in range(len(texts))], "prompt": texts})
    embedded, seconds = timed(lambda: embed.letters(table))
    characters = table["prompt"].str.len_chars().mean()
    print_vector_cost("attar letters", np.stack(embedded["embedding"].to_numpy()), seconds, characters=characters)


def compare(options: argparse.Namespace) -> None:
    """Run each in a process of its own; print its speed, and how far the vectors are apart."""
    script, shared = Path(__file__), (options.pool, "--column", options.column)
    line = run_on_one_thread(sys.executable, script, *shared, "--role", "letters")
    print(f"letters: {line['rows']:,} texts of {line['characters']:,.0f} characters in {line['seconds']:.1f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        model.mkdir()
        make_model(model, read_texts(options.pool, options.column, 3_000), options.cut)
        for dtype in ("bfloat16", "float32"):
            more = (*shared, "--rows", options.rows, "--model", model, "--dtype", dtype, "--out")
            rounds, files = options.rounds, (f"{folder}/ours.npy", f"{folder}/theirs.npy")
            own = run_on_one_thread(sys.executable, script, *more, files[0], "--role", "ours", rounds=rounds)
            peer = run_on_one_thread(options.peer, script, *more, files[1], "--role", "theirs", rounds=rounds)
            apart = np.abs(np.load(files[0]) - np.load(files[1])).max()
            for one in (own, peer):
                print(f"{one['name']:<32} {one['rows'] / one['seconds']:>6.1f} texts/s, {one['peak_mb']:>6,} MB", flush=True)
            print(
                f"  {own['tokens']:.0f} tokens a text, {own['tokens'] * own['rows'] / own['seconds']:,.0f} tokens/s, "
                f"{peer['seconds'] / own['seconds']:.2f}x; a rerun takes {own['again'] / own['rows'] * 1e6:.0f} us a text; "
                f"vectors within {apart:.1e}"
            )


def main() -> None:
    """Compare; or, in a child process, embed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool")
    parser.add_argument("--column", default="output")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--cut", type=int, default=256, help="tokens read of each text")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--peer", type=Path, default=PEERS / "embed/.venv/bin/python", help="a python with sentence-transformers"
    )
    for part in ("role", "model", "dtype", "out"):
        parser.add_argument(f"--{part}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role is None:
        compare(options)
    elif options.role == "letters":
        embed_letters(read_texts(options.pool, options.column, None))
    else:
        texts = read_texts(options.pool, options.column, options.rows)
        embed_ours(texts, options) if options.role == "ours" else embed_theirs(texts, options)


if __name__ == "__main__":
    main()
