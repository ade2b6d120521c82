{{/* What the network policies are made of. */}}

{{- define "stratops.policy" -}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .policy | default .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "stratops.labels" . | nindent 4 }}
spec:
  podSelector: {matchLabels: {{ .pods | default (dict "app.kubernetes.io/name" .name) | toJson }}}
{{- end }}

{{- define "stratops.pods.named" -}}
- podSelector: {matchLabels: {app.kubernetes.io/name: {{ . }}}}
{{- end }}

{{- /* A peer of the demo by its pods; one outside by its port alone. (dict "inside" "stratops-redis" or "" "address" URL "port" default) */}}
{{- define "stratops.to" -}}
{{- if .inside }}
- to: [{podSelector: {matchLabels: {app.kubernetes.io/name: {{ .inside }}}}}]
  ports: [{port: {{ .port }}, protocol: TCP}]
{{- else }}
- ports: [{port: {{ regexFind ":[0-9]+$" .address | trimPrefix ":" | default (toString .port) }}, protocol: TCP}]
{{- end }}
{{- end }}

{{- define "stratops.to.feed" -}}
{{- include "stratops.to" (dict "inside" (ternary "stratops-redis" "" (eq "true" (include "stratops.demo.feed" .))) "address" (include "stratops.feed.url" .) "port" 6379) }}
{{- end }}

{{- define "stratops.to.nats" -}}
{{- include "stratops.to" (dict "inside" (ternary "stratops-nats" "" (eq "true" (include "stratops.demo.nats" .))) "address" (include "stratops.nats.url" .) "port" 4222) }}
{{- end }}

{{- define "stratops.to.venue" -}}
{{- if .Values.gateway.venues }}
{{- range .Values.gateway.venues }}
{{- include "stratops.to" (dict "inside" "" "address" .address "port" 9091) }}
{{- end }}
{{- else }}
{{- include "stratops.to" (dict "inside" (ternary "stratops-venue" "" (eq "true" (include "stratops.demo.venue" .))) "address" (include "stratops.venue.address" .) "port" 9091) }}
{{- end }}
{{- end }}

{{- define "stratops.to.postgres" -}}
{{- if .Values.gateway.postgres.secret }}
- ports: [{port: {{ .Values.gateway.postgres.port }}, protocol: TCP}]
{{- end }}
{{- end }}

{{- /* What the API server's address is, no selector can say. */}}
{{- define "stratops.to.api" -}}
- {{ with .Values.networkPolicy.apiServer.cidr }}to: [{ipBlock: {cidr: {{ . | quote }}}}]
  {{ end }}ports:
    {{- range .Values.networkPolicy.apiServer.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}

{{- define "stratops.to.gateways" -}}
- to:
    - podSelector: {matchLabels: {app.kubernetes.io/name: stratops-gateway}}
      {{- if .Values.operator.clusterWide }}
      namespaceSelector: {}
      {{- end }}
  ports: [{port: 9090, protocol: TCP}]
{{- end }}
