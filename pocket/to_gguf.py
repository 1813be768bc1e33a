"""A pocket model's folder to one GGUF file, for llama.cpp and what is built on it.

python pocket/to_gguf.py FOLDER FILE.gguf     (a second; needs the package `gguf`)

The tokenizer splits digits one by one, as llama.cpp's "refact" does; the weights are float32, so that the model is the same.
"""

import json
import struct
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np

_WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
_OF_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def tensors(file: Path) -> dict[str, np.ndarray]:
    """Every weight of a safetensors file, as float32."""
    data = file.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    found = {}
    for name, told in header.items():
        if name == "__metadata__":
            continue
        start, stop = (8 + size + offset for offset in told["data_offsets"])
        raw = data[start:stop]
        if told["dtype"] == "BF16":
            values = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw, np.float32)
        found[name] = values.reshape(told["shape"]).copy()
    return found


def new_name(name: str) -> str:
    """What llama.cpp calls a weight of Qwen3."""
    if name in _WHOLE:
        return _WHOLE[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{_OF_LAYER[rest.removesuffix('.weight')]}.weight"


def write_tokenizer(out: gguf.GGUFWriter, folder: Path, config: dict[str, Any]) -> None:
    """Vocabulary, merges, special tokens and chat template."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"] | {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    merges = tokenizer["model"]["merges"]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("refact")
    out.add_token_list(words)
    out.add_token_types([gguf.TokenType.CONTROL if word in special else gguf.TokenType.NORMAL for word in words])
    out.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in merges])
    out.add_eos_token_id(config["eos_token_id"])
    out.add_pad_token_id(config["pad_token_id"])
    out.add_add_bos_token(False)
    out.add_chat_template((folder / "chat_template.jinja").read_text())


def main() -> None:
    """Write it."""
    folder, file = Path(sys.argv[1]), Path(sys.argv[2])
    config = json.loads((folder / "config.json").read_text())
    out = gguf.GGUFWriter(file, "qwen3")
    out.add_name(folder.name)
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_key_length(config["head_dim"])
    out.add_value_length(config["head_dim"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    out.add_vocab_size(config["vocab_size"])
    out.add_file_type(0)
    write_tokenizer(out, folder, config)
    for name, values in tensors(folder / "model.safetensors").items():
        if name != "lm_head.weight":  # tied
            out.add_tensor(new_name(name), values)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__":
    main()
