#!/bin/sh
# The virtual environments that the selection benchmark needs beside Attar's, under $PEERS (default /tmp/peers): 1 GB.
#
#     sh bench/selection/peers.sh [NAME ...]      (faiss distilabel; both)
#
# `faiss` also runs make_vectors.py and plot_filter.py. Deita has no package: git clone https://github.com/hkust-nlp/deita
set -eu
PEERS=${PEERS:-/tmp/peers}
PYTHON=${PYTHON:-python3}

make() {
    home=$PEERS/$1/.venv
    shift
    [ -x "$home/bin/python" ] || "$PYTHON" -m venv "$home"
    "$home/bin/python" -m pip install --disable-pip-version-check --quiet "$@"
    echo "$home"
}

[ $# -gt 0 ] || set -- faiss distilabel
for name in "$@"; do
    case $name in
    faiss) make faiss faiss-cpu==1.15.1 numpy==2.4.6 polars==2.1.0 pyarrow==26.0.1 scikit-learn==1.9.1 matplotlib==3.11.2 ;;
    distilabel) make distilabel distilabel==1.5.3 requests==2.34.2 numpy==2.4.6 ;;
    *) echo "no such peer: $name" >&2 && exit 2 ;;
    esac
done
