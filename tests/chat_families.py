"""The chat formats of this year's models: a small template of our own for each, and by hand what must come of it.

The templates are in chat/families. docs/prefixes.md shows the same table, and what each was compared with.
"""

from pathlib import Path

from chat_forms import (
    BETWEEN,
    CHATML_END,
    D_ANSWER,
    D_BOS,
    D_END,
    D_USER,
    DEEPSEEK,
    DEFAULT,
    END,
    ENDS,
    OPEN,
    OURS,
    STEERED,
    USER,
    Family,
    Thoughts,
)

FOLDER = Path(__file__).parent / "chat" / "families"
THINK = ("<think>", "</think>")
CHATML_ASK = "<|im_end|>\n<|im_start|>assistant\n"
GEMMA = "<bos><start_of_turn>user\n"
GEMMA_ENDS = {"bos_token": "<bos>", "eos_token": "<eos>"}
GEMMA_STOPS = ("<end_of_turn>", "<start_of_turn>", "<eos>")
INST = ("[/INST]", "</s>", "[INST]")
MISTRAL_SPECIAL = ("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
KIMI = "<|im_system|>system<|im_middle|>{}<|im_end|><|im_user|>user<|im_middle|>"
MINIMAX = "]~!b[]~b]system\n{}[e~[\n]~b]user\n"
HARMONY = f"<|start|>system<|message|>{OURS}\nReasoning: medium<|end|>"
HARMONY_SPECIAL = ("<|message|>", "<|channel|>")
SMOL = (
    "<|im_start|>system\n## Metadata\n\nKnowledge Cutoff Date: June 2025\nReasoning Mode: /think\n\n## Custom Instructions\n\n"
)
ASKS = "Think first: [THINK]your thoughts[/THINK]then answer."
SEED = ("<seed:think>", "</seed:think>")
SEED_WITHOUT = "<seed:think>\n<seed:cot_budget_reflect>I answer at once.</seed:cot_budget_reflect>\n</seed:think>"


def _read(name: str) -> str:
    return (FOLDER / f"{name}.jinja").read_text(encoding="utf-8")


FAMILIES = {
    "Qwen 2.5": Family(
        _read("qwen2.5"), DEFAULT, STEERED, BETWEEN, (END, OPEN), CHATML_END, own=True,
        real="qwen2.5-7b|trl--qwen2_5$|axolotl--qwen_25|chujie--qwen2.5",
    ),
    "Qwen 3": Family(
        _read("qwen3"), USER, STEERED, BETWEEN, (END, OPEN), CHATML_END, real="qwen3-0.6b|(trl|axolotl|unsloth)--qwen3$",
        thoughts=Thoughts(
            THINK, "model", CHATML_ASK, {"enable_thinking": False}, f"{CHATML_ASK}<think>\n\n</think>\n\n", shown=True
        ),
    ),
    "Qwen 3 Thinking 2507": Family(
        _read("qwen3-thinking-2507"), USER, STEERED, BETWEEN, (END, OPEN), CHATML_END, real="unsloth--qwen3[-_]thinking|qwq",
        thoughts=Thoughts(THINK, "prompt", f"{CHATML_ASK}<think>\n", shown=True),
    ),
    "Qwen 3.5": Family(
        _read("qwen3.5"), USER, STEERED, BETWEEN, (END, OPEN), CHATML_END, real="qwen3.5-4b|trl--qwen3_5_think$",
        thoughts=Thoughts(
            THINK, "prompt", f"{CHATML_ASK}<think>\n", {"enable_thinking": False}, f"{CHATML_ASK}<think>\n\n</think>\n\n",
            shown=True,
        ),
    ),
    "DeepSeek R1": Family(
        _read("deepseek-r1"), f"{D_BOS}{D_USER}", f"{D_BOS}Be brief.{D_USER}", f"{D_END}{D_USER}", (D_ANSWER, D_END, D_USER),
        DEEPSEEK, "template", real="deepseek-ai.deepseek-r1|axolotl--deepseek_v3",
        thoughts=Thoughts(THINK, "prompt", f"{D_ANSWER}<think>\n"),
    ),
    "DeepSeek V3.1": Family(  # an answer without a thought closes one: that mark opens no turn
        _read("deepseek-v3.1"), f"{D_BOS}{D_USER}", f"{D_BOS}Be brief.{D_USER}", f"{D_END}{D_USER}", (D_ANSWER, D_END, D_USER),
        DEEPSEEK, "template", real="deepseek-v3.[12]|trl--deepseek",
        thoughts=Thoughts(THINK, "prompt", f"{D_ANSWER}</think>", {"thinking": True}, f"{D_ANSWER}<think>"),
    ),
    "GLM 4.6": Family(  # nothing ends an answer but the next turn
        _read("glm-4.6"), "[gMASK]<sop><|user|>\n", "[gMASK]<sop><|system|>\nBe brief.<|user|>\n", "<|user|>\n",
        ("<|assistant|>", "<|user|>", "<|endoftext|>"), {"eos_token": "<|endoftext|>"}, real="glm-4.6|glm4moe",
        special=("[gMASK]", "<sop>", "<|system|>"),
        thoughts=Thoughts(
            THINK, "model", "<|assistant|>", {"enable_thinking": False}, "/nothink<|assistant|>\n<think></think>", shown=True
        ),
    ),
    "Kimi K2 Thinking": Family(
        _read("kimi-k2-thinking"), KIMI.format(OURS), KIMI.format("Be brief."), "<|im_end|><|im_user|>user<|im_middle|>",
        (END, "<|im_assistant|>", "<|im_user|>", "[EOS]"), {"eos_token": "[EOS]"}, own=True, real="kimi-k2",
        special=("<|im_system|>", "<|im_middle|>"),
        thoughts=Thoughts(THINK, "model", "<|im_end|><|im_assistant|>assistant<|im_middle|>"),
    ),
    "MiniMax M2": Family(
        _read("minimax-m2"), MINIMAX.format(OURS), MINIMAX.format("Be brief."), "[e~[\n]~b]user\n", ("[e~[", "]~b]"),
        {"eos_token": "[e~["}, own=True, real="minimax-m2", special=("]~b]", "]~!b["),
        thoughts=Thoughts(THINK, "prompt", "[e~[\n]~b]ai\n<think>\n", shown=True),
    ),
    "gpt-oss": Family(  # harmony: a thought is a channel; `reasoning_effort` makes it shorter, and nothing turns it off
        _read("gpt-oss"), f"{HARMONY}<|start|>user<|message|>",
        f"{HARMONY}<|start|>developer<|message|># Instructions\n\nBe brief.\n\n<|end|><|start|>user<|message|>",
        "<|end|><|start|>user<|message|>", ("<|end|>", "<|start|>", "<|return|>"), {"eos_token": "<|return|>"}, own=True,
        real="gpt-oss|trl--gptoss$", special=HARMONY_SPECIAL,
        thoughts=Thoughts(
            ("<|channel|>analysis<|message|>", "<|end|>"), "model", "<|end|><|start|>assistant", field="thinking", shown=True
        ),
    ),
    "Gemma 2": Family(
        _read("gemma-2"), GEMMA, f"{GEMMA}Be brief.\n\n", "<end_of_turn>\n<start_of_turn>user\n", GEMMA_STOPS, GEMMA_ENDS,
        "template", real="gemma-2-2b|(trl|axolotl)--gemma$", system="refused",
    ),
    "Gemma 3": Family(
        _read("gemma-3"), GEMMA, f"{GEMMA}Be brief.\n\n", "<end_of_turn>\n<start_of_turn>user\n", GEMMA_STOPS, GEMMA_ENDS,
        "template", real="(trl|axolotl|unsloth)--gemma3n?$", system="folded",
    ),
    "Llama 4": Family(
        _read("llama-4"), "<|begin_of_text|><|header_start|>user<|header_end|>\n\n",
        "<|begin_of_text|><|header_start|>system<|header_end|>\n\nBe brief.<|eot|><|header_start|>user<|header_end|>\n\n",
        "<|eot|><|header_start|>user<|header_end|>\n\n", ("<|eot|>", "<|header_start|>"),
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot|>"}, "template", real="axolotl--llama4$",
        special=("<|header_end|>",),
    ),
    "Mistral Small 3.2": Family(
        _read("mistral-small-3.2"), f"<s>[SYSTEM_PROMPT]{OURS}[/SYSTEM_PROMPT][INST]",
        "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]", "</s>[INST]", INST, ENDS, "template", own=True,
        real="mistral-small-3.2|axolotl--mistral_v7|devstral", special=MISTRAL_SPECIAL,
    ),
    "Ministral 3 Reasoning": Family(  # the system text asks for thoughts: another one turns them off
        _read("ministral-3-reasoning"), f"<s>[SYSTEM_PROMPT]{ASKS}[/SYSTEM_PROMPT][INST]",
        "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]", "</s>[INST]", INST, ENDS, "template", own=True,
        real="ministral-3-14b-reasoning", special=MISTRAL_SPECIAL,
        thoughts=Thoughts(("[THINK]", "[/THINK]"), "model", "[/INST]"),
    ),
    "Mistral v0.1": Family(
        _read("mistral-v0.1"), "<s>[INST] ", "<s>[INST] Be brief.\n\n", "</s> [INST] ", INST, ENDS, "template",
        real="mistral-7b-instruct-v0.1|mistralrs--mistral$", system="refused",
    ),
    "SmolLM 3": Family(  # a system text may hold the switch: /think or /no_think
        _read("smollm3"), f"{SMOL}{OURS}\n\n{BETWEEN}",
        f"{SMOL}Be brief.\n\n{BETWEEN}", BETWEEN, (END, OPEN), CHATML_END, own=True, real="smollm3",
        thoughts=Thoughts(THINK, "model", CHATML_ASK, {"enable_thinking": False}, f"{CHATML_ASK}<think>\n\n</think>\n"),
    ),
    "Seed-OSS": Family(  # what opens a turn is the BOS itself
        _read("seed-oss"), "<seed:bos>user\n", "<seed:bos>system\nBe brief.<seed:eos><seed:bos>user\n",
        "<seed:eos><seed:bos>user\n", ("<seed:eos>", "<seed:bos>"), {"bos_token": "<seed:bos>", "eos_token": "<seed:eos>"},
        "template", real="seed-oss",
        thoughts=Thoughts(
            SEED, "model", "<seed:eos><seed:bos>assistant\n", {"thinking_budget": 0},
            f"<seed:eos><seed:bos>assistant\n{SEED_WITHOUT}", shown=True,
        ),
    ),
}  # fmt: skip
