import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes_for_tests import children, ended

from attar.core.errors import EngineError
from attar.engines.base import Request, Sampling, Spec
from attar.engines.http.managed_server import ManagedServer

SERVERS = Path(__file__).parents[2] / "servers"
STUB = """
import sys, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(b'{"data": [{"id": "teacher", "owned_by": "stub"}]}' if "models" in self.path else b"")
    def log_message(self, *_): pass
port = int(sys.argv[sys.argv.index("--port") + 1])
print("arguments", sys.argv[1:], flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def stub(tmp_path):
    (tmp_path / "stub.py").write_text(STUB)
    return [sys.executable, str(tmp_path / "stub.py")]


def test_a_server_is_started_with_its_own_options_and_stopped_with_the_engine(stub):
    options = {"max-model-len": 512, "enforce-eager": True, "quiet": False, "lora-modules": ["a", "b"]}
    engine = ManagedServer(Spec("vllm", "pocket:teacher", {"command": stub, "server": options}))
    assert engine.http.server.models == ("teacher",)
    assert engine._child
    (server,) = children(engine._child.pid)
    said = Path(f"/proc/{server}/cmdline").read_text().split("\0")
    assert said[said.index("--served-model-name") + 1] == "teacher"
    assert said[said.index("--host") + 1] == "127.0.0.1"
    assert said[-7:] == ["--max-model-len", "512", "--enforce-eager", "--lora-modules", "a", "b", ""]
    engine.close()
    assert ended(server)


def test_no_server_outlives_a_parent_that_was_killed(stub):
    code = f"""
import os, signal
from attar.engines.base import Spec
from attar.engines.http.managed_server import ManagedServer
engine = ManagedServer(Spec("vllm", "pocket:teacher", {{"command": {stub!r}}}))
engine.http
print(engine._child.pid, open(f"/proc/{{engine._child.pid}}/task/{{engine._child.pid}}/children").read(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert out.returncode == -signal.SIGKILL
    for pid in map(int, out.stdout.split()):
        assert ended(pid)


def test_a_server_that_dies_at_the_start_is_reported_with_its_last_words():
    command = [sys.executable, "-c", "print('loading'); raise SystemExit('no room on the GPU')"]
    engine = ManagedServer(Spec("vllm", "pocket:teacher", {"command": command}))
    with pytest.raises(EngineError, match=r"ended by itself \(code 1\).*its log ends: loading \| no room on the GPU"):
        _ = engine.http


def test_a_server_that_never_gets_ready_is_ended_after_its_time():
    command = [sys.executable, "-c", "import time; print('still loading', flush=True); time.sleep(600)"]
    engine = ManagedServer(Spec("vllm", "pocket:teacher", {"command": command, "ready": 1.0}))
    with pytest.raises(EngineError, match="not ready in time; its log ends: still loading"):
        _ = engine.http
    assert engine._child is None


def test_a_program_that_is_not_installed_is_named_with_what_to_do():
    with pytest.raises(EngineError, match="there is no program 'no-such-server'; install it, or set `command`"):
        _ = ManagedServer(Spec("llamacpp", "pocket:teacher", {"command": ["no-such-server"]})).http


def test_how_a_model_is_served_does_not_change_who_it_is(stub):
    one = ManagedServer(Spec("vllm", "pocket:teacher", {"command": stub, "server": {"max-model-len": 512}}))
    other = ManagedServer(Spec("sglang", "pocket:teacher", {"env": {"CUDA_VISIBLE_DEVICES": "1"}}))
    hotter = ManagedServer(Spec("vllm", "pocket:teacher", {"extra": {"top_k": 5}}))
    assert one.identity() == other.identity() != hotter.identity()


def test_a_served_model_whose_folder_lies_here_needs_no_server_for_its_template():
    engine = ManagedServer(Spec("vllm", "pocket:teacher", {"command": ["no-such-server"]}))
    assert "<|im_start|>user\nHi<|im_end|>" in engine.template.render([{"role": "user", "content": "Hi"}])


def test_its_template_has_the_arguments_that_the_run_file_gives_it():
    options = {"command": ["no-such-server"], "thinking": False, "template_args": {"effort": "low"}}
    assert ManagedServer(Spec("vllm", "pocket:teacher", options)).template.arguments == {"effort": "low"}


def test_a_real_llama_cpp_server_is_started_asked_and_stopped(gguf):
    command = [sys.executable, str(SERVERS / "llama.py")]
    engine = ManagedServer(Spec("llamacpp", str(gguf), {"command": command, "server": {"parallel": 4}}))
    asked = Request(0, messages=({"role": "user", "content": "What is 3 plus 4?"},), sampling=Sampling(max_tokens=40))
    (reply,) = engine.generate([asked])
    assert (reply.text or "").endswith("The answer is 7.")
    assert engine._child
    (server,) = children(engine._child.pid)
    os.kill(server, signal.SIGKILL)  # a server that dies later is found out by the next request
    assert ended(server)
    engine.close()
