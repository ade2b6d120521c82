#!/bin/sh
# Regenerates proto/stratops_api from its .proto files, in an environment of its own: the stubs are
# made by grpcio-tools 1.76.0 so that they run on protobuf 6 and 7, and those tools need protobuf 6.
set -eu
cd "$(dirname "$0")/.."
tools="${XDG_CACHE_HOME:-$HOME/.cache}/stratops/protoc-1.76.0"
if ! "$tools/bin/python" -c 'import grpc_tools, mypy_protobuf' 2>/dev/null; then
    rm -rf "$tools"
    "${PYTHON:-python3}" -m venv "$tools"
    "$tools/bin/python" -m pip install -q grpcio-tools==1.76.0 mypy-protobuf==5.1.0
fi
out="${1:-proto}"
mkdir -p "$out"
PATH="$tools/bin:$PATH" "$tools/bin/python" -m grpc_tools.protoc -I proto \
    --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" \
    proto/stratops_api/v1/*.proto
