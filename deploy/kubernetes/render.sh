#!/bin/sh
# Writes the manifests of this folder anew from the chart: deploy/kubernetes/render.sh, with helm in the PATH.
# test/deploy.test.ts fails where the chart changed after they were written.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
chart=$here/../helm/flexid
hash=$(cd "$chart" && find . -type f ! -name NOTES.txt | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -d ' ' -f 1)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# what has to be given is CHANGE-ME in the manifests, which the agent refuses; the chart refuses it too, so it gets something else first
helm template flexid "$chart" --namespace flexid --kube-version 1.33.0 --set ingress.enabled=true --set ingress.tlsSecretName=flexid-tls \
  --set endpoint=https://changed.flexid.internal --set ledger.algodUrl=http://algod:4001 --set-string ledger.appId=999999999 --output-dir "$out" >/dev/null
rm -f "$here"/*.yaml
for file in "$out"/flexid/templates/*.yaml; do
  {
    printf '# Written by render.sh from the chart with its default values and the ingress; chart %s\n' "$hash"
    # the labels that only Helm needs
    sed -e '/^# Source: /d' -e '/helm.sh\/chart:/d' -e 's/managed-by: Helm/managed-by: kubectl/' -e '/^ *$/d' \
      -e 's|https://changed.flexid.internal|CHANGE-ME|' -e 's/changed.flexid.internal/change-me/' -e 's/999999999/CHANGE-ME/' "$file"
  } >"$here/$(basename -- "$file")"
done
