"""llama.cpp's own server, with a few of `llama-server`'s flags: a real model server for the tests, without its binary."""

import argparse
import threading

import xllamacpp

parser = argparse.ArgumentParser()
parser.add_argument("-m", "--model", required=True)
parser.add_argument("--host", default="127.0.0.1")
parser.add_argument("--port", type=int, required=True)
parser.add_argument("-np", "--parallel", type=int, default=8)
parser.add_argument("-c", "--ctx-size", type=int, default=0)
parser.add_argument("-a", "--alias", default="")
parser.add_argument("--embeddings", action="store_true")
given = parser.parse_args()

params = xllamacpp.CommonParams()
params.model.path = given.model
params.hostnames = [given.host]
params.port = given.port
params.n_parallel = given.parallel
params.n_ctx = given.ctx_size or 512 * given.parallel
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # two threads collapse on shared cores
params.use_jinja = True
params.warmup = False
if given.alias:
    params.model_alias = {given.alias}
if given.embeddings:
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
server = xllamacpp.Server(params)
print(f"listening on {server.listening_address}", flush=True)
threading.Event().wait()
