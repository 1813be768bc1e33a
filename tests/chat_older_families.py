"""Chat formats of earlier years by family, each by a template of our own that behaves as the family's does."""

from datetime import datetime

from chat_forms import (
    BETWEEN,
    CHATML_END,
    D_BOS,
    D_END,
    DEEPSEEK,
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
INST = ("[/INST]", "</s>", "[INST]")
V3 = (  # Mistral: the system turn goes into the last user turn
    "{% if messages[0]['role'] == 'system' %}{% set said = messages[0]['content'] %}"
    "{% set messages = messages[1:] %}{% endif %}"
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST]GAP' }}"
    "{% if loop.last and said is defined %}{{ said + '\n\n' }}{% endif %}{{ m['content'] + '[/INST]' }}"
    "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)
MIXTRAL = (
    "{{ bos_token }}" + ALTERNATE + "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)
COMMAND = "<|START_OF_TURN_TOKEN|><|{}_TOKEN|>{}@{}<|END_OF_TURN_TOKEN|>"
C_USER = "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>"
C_STOPS = ("<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>")
C_ENDS = {"bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>"}
G = "<|start_of_role|>{}<|end_of_role|>@<|end_of_text|>\n"
G_USER = "<|start_of_role|>user<|end_of_role|>"
OLDER = {
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
    "Gemma 4": Family(
        form(*(f"<|turn>{role}\n@<turn|>\n" for role in ("user", "model", "system")),
             start="<bos>", ask="<|turn>model\n", trim=True),
        "<bos><|turn>user\n", "<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\n", "<turn|>\n<|turn>user\n",
        ("<turn|>", "<|turn>", "<eos>"), {"bos_token": "<bos>", "eos_token": "<eos>"}, "template",
        real="gemma-4-31b|trl--gemma4|axolotl--gemma4|unsloth--gemma-4",
    ),
    "Mixtral": Family(
        MIXTRAL, "<s>[INST] ", "<s>[INST] Be brief.\n\n", "</s>[INST] ", INST, ENDS, "template",
        real="mixtral-8x7b-instruct", system="refused",
    ),
    "Mistral v0.3": Family(  # the system turn is skipped without a word
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
        "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}",
        "<s>[INST] ", "<s>[INST] Be brief.\n\n", "</s>[INST] ", INST, ENDS, "template",
        real="ciscai_mistral-7b-instruct-v0.3", system="dropped",
    ),
    "Mistral Large 2407": Family(
        V3.replace("GAP", " "), "<s>[INST] ", "<s>[INST] Be brief.\n\n", "</s>[INST] ", INST, ENDS, "template",
        real="mistral-large-instruct-2407|axolotl--mistral_v2v3", system="folded",
    ),
    "Mistral Nemo": Family(
        V3.replace("GAP", ""), "<s>[INST]", "<s>[INST]Be brief.\n\n", "</s>[INST]", INST, ENDS, "template",
        real="mistral-nemo|axolotl--mistral_v3_tekken", system="folded",
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
        "<s><|user|>\n", "<s><|user|>\nBe brief.\n\n", "<|end|>\n<|user|>\n",
        ("<|end|>", "<|assistant|>", "<|user|>", "<|endoftext|>"),
        {"bos_token": "<s>", "eos_token": "<|endoftext|>"}, "template", real="phi-3-mini$|mistralrs--phi3$",
        system="dropped",
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
    "DeepSeek V2": Family(  # turns are marked by words alone: the line after the user's text is the mark
        form("User: @\n\n", f"Assistant: @{D_END}", "@\n\n", D_BOS, "Assistant:"),
        f"{D_BOS}User: ", f"{D_BOS}Be brief.\n\nUser: ", f"{D_END}User: ",
        ("Assistant:", D_END), DEEPSEEK, "template", real="deepseek-v2|deepseek-llm",
    ),
    "Command-R": Family(
        form(COMMAND.format("USER", "", ""), COMMAND.format("CHATBOT", "", ""), COMMAND.format("SYSTEM", "", ""), "<BOS_TOKEN>",
             "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", trim=True),
        f"<BOS_TOKEN>{C_USER}", f"<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be brief.<|END_OF_TURN_TOKEN|>{C_USER}",
        f"<|END_OF_TURN_TOKEN|>{C_USER}", C_STOPS, C_ENDS, "template",
        real="cpp--coherefor|trl--cohere$|axolotl--(cohere|aya)$",
    ),
    "Command-A": Family(
        form(COMMAND.format("USER", "", ""), COMMAND.format("CHATBOT", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),
             COMMAND.format("SYSTEM", "", ""), "<BOS_TOKEN>", "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", default=True),
        f"<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>{OURS}<|END_OF_TURN_TOKEN|>{C_USER}",
        f"<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be brief.<|END_OF_TURN_TOKEN|>{C_USER}",
        f"<|END_RESPONSE|><|END_OF_TURN_TOKEN|>{C_USER}", (*C_STOPS, "<|END_RESPONSE|>"), C_ENDS, "template", own=True,
        real="command-a|command_a$|trl--cohere2|command-r7b",
    ),
    "Granite 3.0": Family(
        form(*(G.format(role) for role in ROLES), ask="<|start_of_role|>assistant<|end_of_role|>"),
        G_USER, f"<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n{G_USER}", f"<|end_of_text|>\n{G_USER}",
        ("<|end_of_text|>", "<|start_of_role|>"), {"eos_token": "<|end_of_text|>"}, real="granite-3.0",
    ),
    "Granite 3.3": Family(
        form(*(G.format(role) for role in ROLES), ask="<|start_of_role|>assistant<|end_of_role|>",
             default=True),
        f"<|start_of_role|>system<|end_of_role|>{OURS}<|end_of_text|>\n{G_USER}",
        f"<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n{G_USER}", f"<|end_of_text|>\n{G_USER}",
        ("<|end_of_text|>", "<|start_of_role|>"), {"eos_token": "<|end_of_text|>"}, own=True, real="granite-3.3",
    ),
    "OLMo 2": Family(  # the BOS is the EOS; nothing but the next header ends a user turn
        form("<|user|>\n@\n", "<|assistant|>\n@<|endoftext|>\n", "<|system|>\n@\n", "<|endoftext|>", "<|assistant|>\n"),
        "<|endoftext|><|user|>\n", "<|endoftext|><|system|>\nBe brief.\n<|user|>\n", "<|endoftext|>\n<|user|>\n",
        ("<|assistant|>", "<|endoftext|>", "<|user|>"), {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
        "template",
    ),
    "Tulu 3, Falcon 3": Family(
        form("<|user|>\n@\n", "<|assistant|>\n@<|endoftext|>\n", "<|system|>\n@\n", ask="<|assistant|>\n"), "<|user|>\n",
        "<|system|>\nBe brief.\n<|user|>\n", "<|endoftext|>\n<|user|>\n", ("<|assistant|>", "<|endoftext|>", "<|user|>"),
        {"eos_token": "<|endoftext|>"}, real="ai2--tulu$",
    ),
    "OLMo 3": Family(
        chatml(default=True), DEFAULT, STEERED, BETWEEN, (END, OPEN, "<|endoftext|>"), {"eos_token": "<|endoftext|>"}, own=True,
        real="ai2--olmo_thinker(_no_think_7b)?$|ai2--olmo$",
    ),
    "SmolLM 2": Family(
        chatml(default=True), DEFAULT, STEERED, BETWEEN, (END, OPEN), CHATML_END, own=True, real="smollm2",
    ),
    "Yi, Hermes": Family(
        chatml(), USER, STEERED, BETWEEN, (END, OPEN), CHATML_END, real="teknium_openhermes|dolphin|axolotl--chatml$",
    ),
    "Falcon H1, LFM 2": Family(
        chatml("<|startoftext|>"), f"<|startoftext|>{USER}", f"<|startoftext|>{STEERED}", BETWEEN, (END, OPEN),
        {"bos_token": "<|startoftext|>", "eos_token": "<|im_end|>"}, "template",
        real="axolotl--falcon_h1|trl--lfm2$|ggml--lfm2",
    ),
    "InternLM 2": Family(
        chatml("<s>"), f"<s>{USER}", f"<s>{STEERED}", BETWEEN, (END, OPEN, "</s>"), ENDS, "template", real="internlm2",
    ),
    "Vicuna": Family(  # words again, and the tokenizer adds the BOS
        form("USER: @ ", "ASSISTANT: @</s> ", "@ ", ask="ASSISTANT:", default=True), f"{OURS} USER: ", "Be brief. USER: ",
        "</s> USER: ", ("ASSISTANT:", "</s>"), ENDS, "tokenizer", own=True, real="mistralrs--vicuna$",
    ),
    "Zephyr": Family(
        form(*(f"<|{role}|>\n@</s>\n" for role in ROLES), ask="<|assistant|>\n"), "<|user|>\n",
        "<|system|>\nBe brief.</s>\n<|user|>\n", "</s>\n<|user|>\n", ("</s>", "<|assistant|>", "<|user|>"), ENDS, "tokenizer",
        real="zephyr-7b-beta",
    ),
    "MiniMax M1": Family(
        form("<beginning_of_sentence>user name=user\n@<end_of_sentence>\n",
             "<beginning_of_sentence>ai name=M\n@<end_of_sentence>\n",
             "<beginning_of_sentence>system ai_setting=M\n@<end_of_sentence>\n", "<begin_of_document>",
             "<beginning_of_sentence>ai name=M\n", default=True),
        f"<begin_of_document><beginning_of_sentence>system ai_setting=M\n{OURS}<end_of_sentence>\n"
        "<beginning_of_sentence>user name=user\n",
        "<begin_of_document><beginning_of_sentence>system ai_setting=M\nBe brief.<end_of_sentence>\n"
        "<beginning_of_sentence>user name=user\n",
        "<end_of_sentence>\n<beginning_of_sentence>user name=user\n", ("<end_of_sentence>", "<beginning_of_sentence>"),
        {"eos_token": "<end_of_sentence>"}, own=True, real="minimax-m1",
    ),
    "EXAONE 3": Family(
        form("[|user|]@\n", "[|assistant|]@[|endofturn|]\n", "[|system|]@[|endofturn|]\n", ask="[|assistant|]"), "[|user|]",
        "[|system|]Be brief.[|endofturn|]\n[|user|]", "[|endofturn|]\n[|user|]", ("[|assistant|]", "[|endofturn|]", "[|user|]"),
        {"eos_token": "[|endofturn|]"}, own=True, real="axolotl--exaone$",
    ),
    "EXAONE 4": Family(
        form(*(f"[|{role}|]\n@[|endofturn|]\n" for role in ROLES), ask="[|assistant|]\n"), "[|user|]\n",
        "[|system|]\nBe brief.[|endofturn|]\n[|user|]\n", "[|endofturn|]\n[|user|]\n",
        ("[|endofturn|]", "[|assistant|]", "[|user|]"), {"eos_token": "[|endofturn|]"}, real="axolotl--exaone4$",
    ),
    "OpenChat": Family(
        form("GPT4 Correct User: @<|end_of_turn|>", "GPT4 Correct Assistant: @<|end_of_turn|>",
             "GPT4 Correct System: @<|end_of_turn|>", "<s>", "GPT4 Correct Assistant:"),
        "<s>GPT4 Correct User: ", "<s>GPT4 Correct System: Be brief.<|end_of_turn|>GPT4 Correct User: ",
        "<|end_of_turn|>GPT4 Correct User: ", ("<|end_of_turn|>",), {"bos_token": "<s>", "eos_token": "<|end_of_turn|>"},
        "template", real="(hfjs|cpp)--openchat",
    ),
    "SOLAR": Family(
        form("### User:\n@\n\n", "### Assistant:\n@\n\n", "### System:\n@\n\n", ask="### Assistant:\n"), "### User:\n",
        "### System:\nBe brief.\n\n### User:\n", "\n\n### User:\n", ("### Assistant:", "</s>"), ENDS, "tokenizer",
    ),
    "LLaVA 1.5": Family(  # content only as a list of parts
        "{% for m in messages %}{% if m['role'] != 'system' %}"
        "{{ {'assistant': '\nASSISTANT: ', 'user': ' USER: '}[m['role']] }}"
        "{% endif %}{% for part in m['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '\nASSISTANT:' }}{% endif %}",
        " USER: ", "Be brief. USER: ", " USER: ", ("ASSISTANT:", "</s>"), ENDS, "tokenizer",
    ),
}  # fmt: skip
