"""Chat formats by family, each by a template of our own that behaves as the family's does: Llama to Phi."""

from datetime import datetime

from chat_forms import (
    BETWEEN,
    CHATML_END,
    DEFAULT,
    END,
    ENDS,
    LLAMA_ENDS,
    LLAMA_STOPS,
    OPEN,
    OURS,
    ROLES,
    STEERED,
    USER,
    E,
    Family,
    H,
    chatml,
    form,
)

LLAMA_DATED = (  # the system block is always there, with a date; the given text goes into it
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set said = messages[0]['content'] | trim %}"
    "{% set messages = messages[1:] %}{% else %}{% set said = '' %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nYear: ' + YEAR + '\n\n' + said + '<|eot_id|>' }}"
    "{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim }}"
    "{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
ALTERNATE = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turn about') }}{% endif %}"
)
GEMMA = "<bos><start_of_turn>user\n"
GEMMA_ENDS = {"bos_token": "<bos>", "eos_token": "<eos>"}
GEMMA_STOPS = ("<end_of_turn>", "<start_of_turn>", "<eos>")
GEMMA_TURN = (
    "{{ m['content'] | trim }}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
INST = ("[/INST]", "</s>", "[INST]")
V3 = (  # Mistral: the system turn goes into the last user turn
    "{% if messages[0]['role'] == 'system' %}{% set said = messages[0]['content'] %}"
    "{% set messages = messages[1:] %}{% endif %}"
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST]GAP' }}"
    "{% if loop.last and said is defined %}{{ said + '\n\n' }}{% endif %}{{ m['content'] + '[/INST]' }}"
    "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)
MISTRAL_OLD = (
    "{{ bos_token }}" + ALTERNATE + "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ m['content'] + eos_token + 'GAP' }}{% endif %}{% endfor %}"
)
FAMILIES = {
    "Llama 2": Family(
        "{% if messages[0]['role'] == 'system' %}{% set said = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
        "{% set messages = messages[1:] %}{% else %}{% set said = '' %}{% endif %}" + ALTERNATE + "{% if m['role'] == 'user' %}"
        "{{ bos_token + '[INST] ' + (said if loop.first else '') + m['content'] | trim + ' [/INST]' }}"
        "{% else %}{{ ' ' + m['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}",
        "<s>[INST] ", "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n", " </s><s>[INST] ", INST, ENDS, "template",
        real="hfjs--llama$|mistralrs--llama2$",
    ),
    "Llama 3": Family(
        form(*(f"{H}{role}{E}@<|eot_id|>" for role in ROLES), start="<|begin_of_text|>", trim=True, ask=f"{H}assistant{E}"),
        f"<|begin_of_text|>{H}user{E}", f"<|begin_of_text|>{H}system{E}Be brief.<|eot_id|>{H}user{E}", f"<|eot_id|>{H}user{E}",
        LLAMA_STOPS, LLAMA_ENDS, "template", real="cpp--llama-3$|trl--llama3$|(axolotl|unsloth|mistralrs)--llama3$",
    ),
    "Llama 3.1, 3.3": Family(
        LLAMA_DATED.replace("YEAR", "'2024'"), f"<|begin_of_text|>{H}system{E}Year: 2024\n\n<|eot_id|>{H}user{E}",
        f"<|begin_of_text|>{H}system{E}Year: 2024\n\nBe brief.<|eot_id|>{H}user{E}", f"<|eot_id|>{H}user{E}",
        LLAMA_STOPS, LLAMA_ENDS, "template", own=True, real="meta-llama.llama-3.[13]-|trl--llama3_1$",
    ),
    "Llama 3.2": Family(
        LLAMA_DATED.replace("YEAR", "strftime_now('%Y')"),
        f"<|begin_of_text|>{H}system{E}Year: {datetime.now():%Y}\n\n<|eot_id|>{H}user{E}",
        f"<|begin_of_text|>{H}system{E}Year: {datetime.now():%Y}\n\nBe brief.<|eot_id|>{H}user{E}", f"<|eot_id|>{H}user{E}",
        LLAMA_STOPS, LLAMA_ENDS, "template", own=True, real="llama-3.2-3b|trl--llama3_2$",
    ),
    "Llama 4": Family(
        form(*(f"<|header_start|>{role}<|header_end|>\n\n@<|eot|>" for role in ROLES),
             start="<|begin_of_text|>", ask="<|header_start|>assistant<|header_end|>\n\n", trim=True),
        "<|begin_of_text|><|header_start|>user<|header_end|>\n\n",
        "<|begin_of_text|><|header_start|>system<|header_end|>\n\nBe brief.<|eot|><|header_start|>user<|header_end|>\n\n",
        "<|eot|><|header_start|>user<|header_end|>\n\n", ("<|eot|>", "<|header_start|>"),
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot|>"}, "template", real="axolotl--llama4$",
    ),
    "Qwen 2.5": Family(
        chatml(default=True), DEFAULT, STEERED, BETWEEN, (END, OPEN), CHATML_END, own=True,
        real="qwen2.5-7b|trl--qwen2_5$|axolotl--qwen_25|chujie--qwen2.5",
    ),
    "Qwen 3": Family(  # old reasoning goes, the last answer has its block, and on asking it may start thinking
        "{% set ns = namespace(last=0) %}"
        "{% for m in messages %}{% if m['role'] == 'user' %}{% set ns.last = loop.index0 %}{% endif %}"
        "{% endfor %}"
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['role'] == 'assistant' %}"
        "{% if loop.index0 > ns.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{{ m['content'].split('</think>')[-1].lstrip('\n') }}{% else %}{{ m['content'] }}{% endif %}"
        "{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
        "{% if enable_thinking is defined and not enable_thinking %}"
        "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}",
        USER, STEERED, BETWEEN, (END, OPEN), CHATML_END,
        real="qwen3-0.6b|(trl|axolotl|unsloth)--qwen3(_thinking|_instruct.*)?$",
    ),
    "QwQ": Family(
        chatml().replace('assistant\\n" }}{% endif', 'assistant\\n<think>\\n" }}{% endif'), USER, STEERED, BETWEEN, (END, OPEN),
        CHATML_END, real="qwq",
    ),
    "Gemma 1, 2": Family(
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + ALTERNATE
        + "{{ '<start_of_turn>' + m['role'].replace('assistant', 'model') + '\n' }}" + GEMMA_TURN,
        GEMMA, None, "<end_of_turn>\n<start_of_turn>user\n", GEMMA_STOPS, GEMMA_ENDS, "template",
        real="gemma-2-2b|(trl|axolotl)--gemma$",
    ),
    "Gemma 3": Family(  # the system text opens the first user turn
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set said = messages[0]['content'] + '\n\n' %}"
        "{% set messages = messages[1:] %}{% else %}{% set said = '' %}{% endif %}" + ALTERNATE + "{{ '<start_of_turn>' + "
        "m['role'].replace('assistant', 'model') + '\n' + (said if loop.first else '') }}" + GEMMA_TURN,
        GEMMA, f"{GEMMA}Be brief.\n\n", "<end_of_turn>\n<start_of_turn>user\n", GEMMA_STOPS, GEMMA_ENDS, "template",
        real="(trl|axolotl|unsloth)--gemma3n?$",
    ),
    "Gemma 4": Family(
        form(*(f"<|turn>{role}\n@<turn|>\n" for role in ("user", "model", "system")), "<bos>", "<|turn>model\n", trim=True),
        "<bos><|turn>user\n", "<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\n", "<turn|>\n<|turn>user\n",
        ("<turn|>", "<|turn>", "<eos>"), GEMMA_ENDS, "template",
        real="gemma-4-31b|trl--gemma4|axolotl--gemma4|unsloth--gemma-4",
    ),
    "Mistral v0.1": Family(
        MISTRAL_OLD.replace("GAP", " "), "<s>[INST] ", None, "</s> [INST] ", INST, ENDS, "template",
        real="mistral-7b-instruct-v0.1|mistralrs--mistral$",
    ),
    "Mixtral": Family(
        MISTRAL_OLD.replace("GAP", ""), "<s>[INST] ", None, "</s>[INST] ", INST, ENDS, "template", real="mixtral-8x7b-instruct",
    ),
    "Mistral v0.3": Family(  # the system turn is skipped without a word
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
        "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
        "<s>[INST] ", None, "</s>[INST] ", INST, ENDS, "template", real="ciscai_mistral-7b-instruct-v0.3",
    ),
    "Mistral Large 2407": Family(
        V3.replace("GAP", " "), "<s>[INST] ", "<s>[INST] Be brief.\n\n", "</s>[INST] ", INST, ENDS, "template",
        real="mistral-large-instruct-2407|axolotl--mistral_v2v3",
    ),
    "Mistral Nemo": Family(
        V3.replace("GAP", ""), "<s>[INST]", "<s>[INST]Be brief.\n\n", "</s>[INST]", INST, ENDS, "template",
        real="mistral-nemo|axolotl--mistral_v3_tekken",
    ),
    "Mistral Small 3": Family(
        form("[INST]@[/INST]", "@</s>", "[SYSTEM_PROMPT]@[/SYSTEM_PROMPT]", "<s>", default=True),
        f"<s>[SYSTEM_PROMPT]{OURS}[/SYSTEM_PROMPT][INST]", "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]", "</s>[INST]",
        INST, ENDS, "template", own=True, real="mistral-small-3.2|axolotl--mistral_v7|devstral|ministral",
    ),
    "Mistral Large 2411": Family(
        form("[INST] @[/INST]", " @</s>", "[SYSTEM_PROMPT] @[/SYSTEM_PROMPT]", "<s>"), "<s>[INST] ",
        "<s>[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST] ", "</s>[INST] ", INST, ENDS, "template",
        real="mistral-large-instruct-2411",
    ),
    "Phi 3": Family(  # the first of them: no system turn, and the answer's header belongs to the user turn
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
        "{{ '<|user|>\n' + m['content'] + '<|end|>\n<|assistant|>\n' }}{% elif m['role'] == 'assistant' %}"
        "{{ m['content'] + '<|end|>\n' }}{% endif %}{% endfor %}",
        "<s><|user|>\n", None, "<|end|>\n<|user|>\n", ("<|end|>", "<|assistant|>", "<|user|>", "<|endoftext|>"),
        {"bos_token": "<s>", "eos_token": "<|endoftext|>"}, "template", real="phi-3-mini$|mistralrs--phi3$",
    ),
    "Phi 3.5": Family(
        form(*(f"<|{role}|>\n@<|end|>\n" for role in ROLES), ask="<|assistant|>\n")
        + "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}",
        "<|user|>\n", "<|system|>\nBe brief.<|end|>\n<|user|>\n", "<|end|>\n<|user|>\n",
        ("<|end|>", "<|assistant|>", "<|user|>", "<|endoftext|>"), {"eos_token": "<|endoftext|>"},
        real="phi-3.5-mini|trl--phi3_5$|axolotl--phi_35$",
    ),
    "Phi 4": Family(
        form(*(f"<|im_start|>{role}<|im_sep|>@<|im_end|>" for role in ROLES),
             ask="<|im_start|>assistant<|im_sep|>"),
        "<|im_start|>user<|im_sep|>", "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>",
        "<|im_end|><|im_start|>user<|im_sep|>", (END, OPEN), CHATML_END, real="cpp--phi-4$|unsloth--phi4$",
    ),
}  # fmt: skip
