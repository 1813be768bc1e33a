"""Chat formats by family, continued: DeepSeek to LLaVA."""

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
    ROLES,
    STEERED,
    USER,
    Family,
    chatml,
    form,
)

COMMAND = "<|START_OF_TURN_TOKEN|><|{}_TOKEN|>{}@{}<|END_OF_TURN_TOKEN|>"
C_USER = "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>"
C_STOPS = ("<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>")
C_ENDS = {"bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>"}
G = "<|start_of_role|>{}<|end_of_role|>@<|end_of_text|>\n"
G_USER = "<|start_of_role|>user<|end_of_role|>"

MORE = {
    "DeepSeek V2": Family(  # turns are marked by words alone: the line after the user's text is the mark
        form("User: @\n\n", f"Assistant: @{D_END}", "@\n\n", D_BOS, "Assistant:"),
        f"{D_BOS}User: ", f"{D_BOS}Be brief.\n\nUser: ", f"{D_END}User: ",
        ("Assistant:", D_END), DEEPSEEK, "template", real="deepseek-v2|deepseek-llm",
    ),
    "DeepSeek V3, R1": Family(
        "{{ bos_token }}{% for m in messages if m['role'] == 'system' %}{{ m['content'] }}{% endfor %}{% for m in messages %}"
        "{% if m['role'] == 'user' %}{{ '" + D_USER + "' + m['content'] }}{% elif m['role'] == 'assistant' %}"
        "{{ '" + D_ANSWER + "' + m['content'].split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '" + D_ANSWER + "<think>\n' }}{% endif %}",
        f"{D_BOS}{D_USER}", f"{D_BOS}Be brief.{D_USER}", f"{D_END}{D_USER}",
        (D_ANSWER, D_END, D_USER), DEEPSEEK, "template",
        real="deepseek-ai.deepseek-r1|trl--deepseek|axolotl--deepseek_v3",
    ),
    "DeepSeek V3.1": Family(  # an answer that did not think says so: that mark opens no turn
        form(f"{D_USER}@", f"{D_ANSWER}</think>@{D_END}", "@", D_BOS, f"{D_ANSWER}</think>"),
        f"{D_BOS}{D_USER}", f"{D_BOS}Be brief.{D_USER}", f"{D_END}{D_USER}",
        (D_ANSWER, D_END, D_USER), DEEPSEEK, "template", real="deepseek-v3.[12]",
    ),
    "GLM 4": Family(  # nothing ends an answer but the next turn
        form("<|user|>\n@", "<|assistant|>\n@", "<|system|>\n@", "[gMASK]<sop>", "<|assistant|>"), "[gMASK]<sop><|user|>\n",
        "[gMASK]<sop><|system|>\nBe brief.<|user|>\n", "<|user|>\n", ("<|assistant|>", "<|user|>", "<|endoftext|>"),
        {"eos_token": "<|endoftext|>"}, real="chatglm4|glm-4.6|glm4moe",
    ),
    "Kimi K2": Family(
        form("<|im_user|>user<|im_middle|>@<|im_end|>", "<|im_assistant|>assistant<|im_middle|>@<|im_end|>",
             "<|im_system|>system<|im_middle|>@<|im_end|>", ask="<|im_assistant|>assistant<|im_middle|>", default=True),
        f"<|im_system|>system<|im_middle|>{OURS}<|im_end|><|im_user|>user<|im_middle|>",
        "<|im_system|>system<|im_middle|>Be brief.<|im_end|><|im_user|>user<|im_middle|>",
        "<|im_end|><|im_user|>user<|im_middle|>", (END, "<|im_assistant|>", "<|im_user|>", "[EOS]"), {"eos_token": "[EOS]"},
        own=True, real="kimi-k2",
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
    "SmolLM 2, 3": Family(
        chatml(default=True), DEFAULT, STEERED, BETWEEN, (END, OPEN), CHATML_END, own=True, real="smollm[23]",
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
    "gpt-oss": Family(  # harmony: the given system turn is the developer's, the last answer ends otherwise
        "{{ '<|start|>system<|message|>" + OURS + "<|end|>' }}{% for m in messages %}{% if m['role'] == 'system' %}"
        "{{ '<|start|>developer<|message|># Instructions\n\n' + m['content'] + '\n\n<|end|>' }}{% elif m['role'] == 'user' %}"
        "{{ '<|start|>user<|message|>' + m['content'] + '<|end|>' }}{% else %}"
        "{{ '<|start|>assistant<|channel|>final<|message|>'"
        " + m['content'] + ('<|return|>' if loop.last else '<|end|>') }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}",
        f"<|start|>system<|message|>{OURS}<|end|><|start|>user<|message|>",
        f"<|start|>system<|message|>{OURS}<|end|><|start|>developer<|message|># Instructions\n\nBe brief.\n\n<|end|>"
        "<|start|>user<|message|>",
        "<|end|><|start|>user<|message|>", ("<|end|>", "<|start|>", "<|return|>"), {"eos_token": "<|return|>"}, own=True,
        real="gpt-oss|trl--gptoss$",
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
    "Seed-OSS": Family(  # what opens a turn is the BOS itself
        form(*(f"<seed:bos>{role}\n@<seed:eos>" for role in ROLES), ask="<seed:bos>assistant\n"),
        "<seed:bos>user\n", "<seed:bos>system\nBe brief.<seed:eos><seed:bos>user\n", "<seed:eos><seed:bos>user\n",
        ("<seed:eos>", "<seed:bos>"), {"bos_token": "<seed:bos>", "eos_token": "<seed:eos>"}, "template", real="seed-oss",
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
