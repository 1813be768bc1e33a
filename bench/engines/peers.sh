#!/bin/sh
# The peers' virtual environments, one each under $PEERS (default /tmp/peers), exact versions of what is compared.
#
#     sh bench/engines/peers.sh [NAME ...]      (bare openai distilabel curator; all four: about 1.6 GB)
#
# Then, for instance:  /tmp/peers/openai/bin/python bench/engines/peer_openai.py http://127.0.0.1:8000/v1 2000
set -eu
PEERS=${PEERS:-/tmp/peers}
PYTHON=${PYTHON:-python3}

make() {
    name=$1
    shift
    [ -x "$PEERS/$name/bin/python" ] || "$PYTHON" -m venv "$PEERS/$name"
    "$PEERS/$name/bin/python" -m pip install --disable-pip-version-check --quiet "$@"
    echo "$name: $("$PEERS/$name/bin/python" -m pip list --disable-pip-version-check --format freeze | wc -l) packages"
}

[ $# -gt 0 ] || set -- bare openai distilabel curator
for name in "$@"; do
    case $name in
    bare) make bare aiohttp==3.14.5 ;;
    openai) make openai 'openai[aiohttp]==3.52.0' aiohttp==3.14.5 ;;
    distilabel) make distilabel 'distilabel[openai]==1.5.3' openai==3.52.0 requests==2.34.2 ;;
    curator) make curator bespokelabs-curator==0.1.31 ;;
    *) echo "no such peer: $name" >&2 && exit 2 ;;
    esac
done
