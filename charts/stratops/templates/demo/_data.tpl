{{/* Where the demo's venue and NATS keep what they hold: a claim, or the pod's own disk. */}}

{{- define "stratops.demo.data" -}}
{{- if not .Values.demo.storageSize }}
- name: data
  emptyDir: {sizeLimit: 2Gi}
{{- end }}
{{- end }}

{{- define "stratops.demo.claim" -}}
{{- with .Values.demo.storageSize }}
volumeClaimTemplates:
  - apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: {{ . }}}}
{{- end }}
{{- end }}
