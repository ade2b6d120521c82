{{/* The desk's parts: which of them are the demo's, and where each one is. All take the root. */}}

{{- define "stratops.demo.feed" -}}
{{- if and .Values.gateway.enabled .Values.demo.enabled (not .Values.feed.url) }}true{{ end -}}
{{- end }}

{{- define "stratops.demo.nats" -}}
{{- if and .Values.gateway.enabled .Values.demo.enabled (not .Values.nats.url) }}true{{ end -}}
{{- end }}

{{- define "stratops.demo.venue" -}}
{{- if and .Values.gateway.enabled .Values.demo.enabled (not .Values.venue.address) (not .Values.gateway.venues) }}true{{ end -}}
{{- end }}

{{/* Fails with the values that are missing, all of them at once. */}}
{{- define "stratops.addresses.complete" -}}
{{- $missing := list -}}
{{- if and (not .Values.demo.enabled) .Values.gateway.enabled -}}
{{- if not .Values.feed.url }}{{ $missing = append $missing "feed.url (redis://host:port)" }}{{ end -}}
{{- if not .Values.nats.url }}{{ $missing = append $missing "nats.url (nats://host:port)" }}{{ end -}}
{{- if not (or .Values.venue.address .Values.gateway.venues) }}{{ $missing = append $missing "venue.address (host:port)" }}{{ end -}}
{{- end -}}
{{- if $missing -}}
{{- fail (printf "%s: empty, expected an address each, or demo.enabled=true for a desk to try" (join ", " $missing)) -}}
{{- end -}}
{{- end }}

{{- define "stratops.feed.url" -}}
{{- if include "stratops.demo.feed" . -}}
redis://stratops-redis.{{ .Release.Namespace }}.svc:6379
{{- else -}}
{{- include "stratops.addresses.complete" . }}{{ .Values.feed.url -}}
{{- end -}}
{{- end }}

{{/* With the file that it is checked by, where every pod has it. */}}
{{- define "stratops.feed.told" -}}
{{- $url := include "stratops.feed.url" . -}}
{{- if and .Values.feed.ca (not (hasPrefix "rediss://" $url)) -}}
{{- fail (printf "feed.ca: set, and feed.url is %s, expected rediss://..." $url) -}}
{{- end -}}
{{ $url }}{{ if .Values.feed.ca }}?ca=/etc/stratops/desk/feed-ca.crt{{ end }}
{{- end }}

{{- define "stratops.nats.url" -}}
{{- if include "stratops.demo.nats" . -}}
nats://stratops-nats.{{ .Release.Namespace }}.svc:4222
{{- else -}}
{{- include "stratops.addresses.complete" . }}{{ .Values.nats.url -}}
{{- end -}}
{{- end }}

{{- define "stratops.venue.address" -}}
{{- if include "stratops.demo.venue" . -}}
stratops-venue.{{ .Release.Namespace }}.svc:9091
{{- else -}}
{{- include "stratops.addresses.complete" . }}{{ .Values.venue.address -}}
{{- end -}}
{{- end }}

{{/* paper or real. Nobody's orders reach a market because a word was left out. */}}
{{- define "stratops.venue.kind" -}}
{{- if .Values.gateway.venues -}}
{{- $real := false -}}
{{- range .Values.gateway.venues }}{{ $real = or $real (eq .kind "real") }}{{ end -}}
{{- ternary "real" "paper" $real -}}
{{- else -}}
{{- $address := include "stratops.venue.address" . -}}
{{- $kind := .Values.venue.kind -}}
{{- if include "stratops.demo.venue" . -}}
{{- if eq $kind "real" -}}
{{- fail "venue.kind: real, but venue.address is empty, and the demo's venue is paper; expected the address of the real one" -}}
{{- end -}}
{{- $kind = "paper" -}}
{{- else if not $kind -}}
{{- fail (printf "venue.kind: empty, expected paper or real: whether orders at venue.address %s reach a market" $address) -}}
{{- else if and (eq $kind "real") (include "stratops.demo.feed" .) -}}
{{- fail "venue.kind: real, but feed.url is empty, and the demo's feed replays recorded prices; expected a feed.url of its market" -}}
{{- end -}}
{{- $kind -}}
{{- end -}}
{{- end }}

{{/* Of each replica by itself: a standby names the leader, and callers go to what they know only. */}}
{{- define "stratops.gateway.address" -}}
{{- include "stratops.gateway.replicas.allowed" . -}}
{{- if eq 1 (int .Values.gateway.replicas) -}}
stratops-gateway.{{ .Release.Namespace }}.svc:9090
{{- else -}}
{{- $each := list -}}
{{- range $number := until (int .Values.gateway.replicas) -}}
{{- $each = append $each (include "stratops.gateway.replica" (dict "root" $ "pod" (printf "stratops-gateway-%d" $number))) -}}
{{- end -}}
{{- join "," $each -}}
{{- end -}}
{{- end }}

{{/* As the gateway knows it by its namespace, and the operator each of its desks. */}}
{{- define "stratops.gateway.audience" -}}
stratops-gateway.{{ .Release.Namespace }}
{{- end }}

{{/* (dict "root" $ "pod" "stratops-gateway-0") */}}
{{- define "stratops.gateway.replica" -}}
{{ .pod }}.stratops-gateway-headless.{{ .root.Release.Namespace }}.svc:9090
{{- end }}

{{- define "stratops.gateway.replicas.allowed" -}}
{{- if and (gt (int .Values.gateway.replicas) 1) (not .Values.gateway.postgres.secret) -}}
{{- fail (printf "gateway.replicas: %d, expected 1 without gateway.postgres.secret: replicas share a journal in PostgreSQL" (int .Values.gateway.replicas)) -}}
{{- end -}}
{{- end }}

{{/* A replay tells its own time. */}}
{{- define "stratops.clock" -}}
{{- if include "stratops.demo.feed" . }}market{{ else }}wall{{ end -}}
{{- end }}

{{- define "stratops.operator.namespace" -}}
{{- if .Values.operator.enabled }}{{ .Release.Namespace }}{{ else }}{{ .Values.operator.namespace | default .Release.Namespace }}{{ end -}}
{{- end }}

{{/* (dict "root" $ "component" "gateway") */}}
{{- define "stratops.image" -}}
{{- $image := .root.Values.image -}}
{{- $name := printf "%s/%s" $image.registry .component -}}
{{- with get $image.digests .component -}}
{{ $name }}@{{ . }}
{{- else -}}
{{ $name }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* (dict "root" $ "name" "stratops-gateway") */}}
{{- define "stratops.labels" -}}
{{ include "stratops.selector" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_") }}
{{- end }}

{{- define "stratops.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: stratops
{{- end }}

{{/* What its certificate is for: the Service, and each pod by itself. */}}
{{- define "stratops.gateway.names" -}}
{{- $ns := .Release.Namespace -}}
stratops-gateway.{{ $ns }}.svc,stratops-gateway.{{ $ns }}.svc.cluster.local,*.stratops-gateway-headless.{{ $ns }}.svc,localhost
{{- end }}
