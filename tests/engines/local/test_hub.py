import huggingface_hub
import pytest

from attar.chat.template_loader import FILES
from attar.core.errors import EngineError
from attar.engines.local.hub import fetch_template


def test_only_the_small_files_of_a_model_are_fetched_and_never_its_weights(tmp_path, monkeypatch):
    asked = []

    def snapshot_download(model, *, revision, allow_patterns):
        asked.append((model, revision, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert fetch_template("owner/model", "v2") == tmp_path
    assert asked == [("owner/model", "v2", list(FILES))]
    assert "tokenizer_config.json" in FILES
    assert not any("safetensors" in name or "*" in name for name in FILES)


def test_a_model_that_the_hub_does_not_give_is_one_line_with_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EngineError, match=r"^nobody/nothing-at-all is not a local folder, and the Hub does not") as raised:
        fetch_template("nobody/nothing-at-all")
    assert "\n" not in str(raised.value)
    assert "name a model folder, a .jinja file or a tokenizer_config.json" in str(raised.value)
