{{/* What all pods have in common, and the volumes that some of them share. */}}

{{/* The pod's side. (dict "root" $ "name" "stratops-gateway" "values" .Values.gateway) */}}
{{- define "stratops.pod" -}}
enableServiceLinks: false
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The container's side. (dict "root" $ "component" "gateway") */}}
{{- define "stratops.container" -}}
image: {{ include "stratops.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{/* Of a component that serves /health and /ready on the port named http. A loaded node answers late.
     (dict "starts_within_s" 120) */}}
{{- define "stratops.probes" -}}
startupProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: {{ .starts_within_s }}
livenessProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /ready, port: http}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* Of what runs for seconds. It asks for nothing, in so many words: so it finds its place on a node
     that is full, also where a LimitRange would ask for something. */}}
{{- define "stratops.passing.resources" -}}
requests: {cpu: 0, memory: 0}
limits: {memory: 256Mi}
{{- end }}

{{- define "stratops.pages.env" -}}
- {name: STRATOPS_METRICS_PORT, value: "9092"}
- {name: STRATOPS_METRICS_HOST, value: 0.0.0.0}
- {name: STRATOPS_LOG_LEVEL, value: {{ .Values.logLevel }}}
{{- end }}

{{/* What gateway, venue and feed are told about the market. Takes the root. */}}
{{- define "stratops.market.env" -}}
- {name: STRATOPS_REDIS_URL, value: {{ include "stratops.feed.told" . | quote }}}
- {name: STRATOPS_CHANNELS, value: {{ join "," .Values.feed.channels | quote }}}
{{- end }}

{{- define "stratops.book.env" -}}
{{ include "stratops.market.env" . }}
- {name: STRATOPS_SYMBOLS, value: {{ join "," .Values.symbols | quote }}}
- {name: STRATOPS_CLOCK, value: {{ include "stratops.clock" . }}}
- {name: STRATOPS_NATS_URL, value: {{ include "stratops.nats.url" . | quote }}}
{{- end }}

{{- define "stratops.namespace.env" -}}
- name: STRATOPS_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- end }}

{{- define "stratops.feed.mounts" -}}
{{- if .Values.feed.ca }}
- {name: feed-ca, mountPath: /etc/stratops/desk, readOnly: true}
{{- end }}
{{- end }}

{{- define "stratops.feed.volumes" -}}
{{- if .Values.feed.ca }}
- name: feed-ca
  configMap: {name: stratops-feed-ca, items: [{key: ca.crt, path: feed-ca.crt}]}
{{- end }}
{{- end }}

{{- define "stratops.tmp" -}}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- end }}

{{/* The way to the API server, for the pods that need it: automounting is off everywhere. */}}
{{- define "stratops.api.volume" -}}
- name: api
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- end }}

{{- define "stratops.api.mount" -}}
- {name: api, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{/* Of the operator, and of the hook that ends its work. */}}
{{- define "stratops.operator.env" -}}
{{ include "stratops.namespace.env" . }}
- name: STRATOPS_IDENTITY
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: STRATOPS_WATCH, value: {{ ternary "all" "namespace" .Values.operator.clusterWide }}}
- {name: STRATOPS_RUNNER_IMAGE, value: {{ .Values.runner.image | default (include "stratops.image" (dict "root" . "component" "runner")) | quote }}}
- {name: STRATOPS_IMAGE_PULL_POLICY, value: {{ .Values.image.pullPolicy }}}
{{- if not .Values.operator.clusterWide }}
- {name: STRATOPS_GATEWAY_TOKEN_FILE, value: /var/run/stratops/token}
{{- end }}
{{ include "stratops.pages.env" . }}
{{- end }}

{{- define "stratops.operator.volumes" -}}
{{ include "stratops.tmp" . }}
{{ include "stratops.api.volume" . }}
{{- if not .Values.operator.clusterWide }}
- name: gateway-token
  projected:
    sources:
      - serviceAccountToken: {audience: {{ include "stratops.gateway.audience" . }}, path: token, expirationSeconds: 600}
{{- end }}
{{- end }}

{{- define "stratops.operator.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{ include "stratops.api.mount" . }}
{{- if not .Values.operator.clusterWide }}
- {name: gateway-token, mountPath: /var/run/stratops, readOnly: true}
{{- end }}
{{- end }}
