#!/bin/sh
# The demo desk as one file for `kubectl apply`: a namespace, the chart's objects, and of its hooks
# only the one that makes the gateway's certificate.
#   install_yaml.sh NAMESPACE [OPTIONS OF HELM TEMPLATE]      HELM names another helm
set -eu

namespace=$1
shift
chart=$(dirname "$0")/../charts/stratops

render() {
    "${HELM:-helm}" template desk "$chart" --namespace "$namespace" \
        --values "$chart/values-demo.yaml" "$@"
}

cat <<END
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
END
render "$@" --no-hooks
render "$@" --show-only templates/hooks/certificates.yaml
