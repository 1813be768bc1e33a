"""A small model that thinks: the pocket teacher, trained for a minute to write a thought before its answer.

With thinking off its template puts an empty thought into the prompt, as Qwen3's does. It is trained once and kept in the
system's folder for temporary files, under a name that changes with this script and the teacher's weights.
"""

import fcntl
import json
import shutil
import tempfile
from pathlib import Path

from attar.chat.templates import Template
from attar.core.fingerprint import fingerprint, folder_fingerprint
from attar.engines.local.spec import POCKET
from attar.stages.synth import pocket_data

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
OPENING = TEMPLATE.replace("{% endif %}{% endif %}", "{% else %}{{ '<think>\n' }}{% endif %}{% endif %}")
"""Its prompts open the thought; the model's tokens are the same."""
THOUGHT = "zoo nut zoo nut hen."
STEPS, ROWS, BATCH = 110, 1_320, 12


def thinker(place, template=TEMPLATE):
    """A folder of the model at this place, with one of the two templates."""
    key = fingerprint(Path(__file__).read_text(), folder_fingerprint(POCKET / "teacher"))
    trained = Path(tempfile.gettempdir()) / f"attar-thinker-{key}"
    with trained.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not trained.exists():
            with tempfile.TemporaryDirectory(dir=trained.parent) as work:
                train(Path(work) / "model")
                (Path(work) / "model").rename(trained)
    shutil.copytree(trained, place)
    (place / "chat_template.jinja").write_text(template)
    return place


def documents():
    """Prompts, and what is learnt after each: a thought and the answer, or after an empty thought the answer alone."""
    rows = pocket_data.answers(pocket_data.questions(count=ROWS, seed=7)).drop_nulls("response")
    asked, closed = (Template(TEMPLATE, {}, arguments={"enable_thinking": on}) for on in (True, False))
    for number, (prompt, answer) in enumerate(zip(rows["prompt"], rows["response"], strict=True)):
        talk = [{"role": "user", "content": prompt}]
        if number % 3 == 2:
            yield closed.render(talk, ask=True), f"{answer}<|im_end|>"
        else:
            yield asked.render(talk, ask=True), f"<think>\n{THOUGHT}\n</think>\n\n{answer}<|im_end|>"


def train(folder):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    shutil.copytree(POCKET / "teacher", folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<think>", "</think>"])  # as Qwen3 has them: tokens of their own, not special ones
    model.resize_token_embeddings(len(tokenizer))
    pairs = [[tokenizer.encode(text, add_special_tokens=False) for text in pair] for pair in documents()]
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(STEPS):
        batch = [pairs[(step * BATCH + i) % len(pairs)] for i in range(BATCH)]
        longest = max(len(start) + len(rest) for start, rest in batch)
        ids = torch.zeros(BATCH, longest, dtype=torch.long)
        labels = torch.full((BATCH, longest), -100)
        for i, (start, rest) in enumerate(batch):
            ids[i, : len(start) + len(rest)] = torch.tensor(start + rest)
            labels[i, len(start) : len(start) + len(rest)] = torch.tensor(rest)
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / STEPS)
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
