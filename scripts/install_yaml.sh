#!/bin/sh
# The demo desk as one file for `kubectl apply`: a namespace, the chart's objects, and of its hooks
# only the one that makes the gateway's certificate. HELM names another helm.
set -eu

cd "$(dirname "$0")/.."
namespace=$1

render() {
    "${HELM:-helm}" template desk charts/stratops --namespace "$namespace" \
        --values charts/stratops/values-demo.yaml "$@"
}

cat <<END
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
END
render --no-hooks
render --show-only templates/hooks/certificates.yaml
