{{/* Several venues: the gateway's file of them, its Secrets, and what is refused. All take the root. */}}

{{- define "stratops.venues.checked" -}}
{{- if .Values.venue.address -}}
{{- fail (printf "venue.address: %s, expected it empty with gateway.venues, which names %s" .Values.venue.address (keys .Values.gateway.venues | sortAlpha | join ", ")) -}}
{{- end -}}
{{- range $name, $venue := .Values.gateway.venues -}}
{{- if and (eq $venue.kind "real") (include "stratops.demo.feed" $) -}}
{{- fail (printf "gateway.venues.%s.kind: real, but feed.url is empty, and the demo's feed replays recorded prices; expected a feed.url of its market" $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "stratops.venues.toml" -}}
{{- include "stratops.venues.checked" . -}}
{{- range $name, $venue := .Values.gateway.venues }}
[{{ $name }}]
address = {{ $venue.address | quote }}
kind = {{ $venue.kind | quote }}
{{- range $field := list "accounts" "symbols" }}
{{- if hasKey $venue $field }}
{{ $field }} = {{ index $venue $field | toJson }}
{{- end }}
{{- end }}
{{- if $venue.tlsSecret }}
tls_dir = "/etc/stratops/venue-tls/{{ $name }}"
{{- end }}
{{ end -}}
{{- end }}

{{- define "stratops.venue.env" -}}
{{- if .Values.gateway.venues }}
- {name: STRATOPS_VENUES, value: /etc/stratops/venues/venues.toml}
{{- else }}
- {name: STRATOPS_VENUE, value: {{ include "stratops.venue.address" . | quote }}}
- {name: STRATOPS_VENUE_KIND, value: {{ include "stratops.venue.kind" . }}}
{{- if .Values.venue.tlsSecret }}
- {name: STRATOPS_VENUE_TLS_DIR, value: /etc/stratops/venue-tls}
{{- end }}
{{- end }}
{{- end }}

{{- define "stratops.venue.mounts" -}}
{{- if .Values.gateway.venues }}
- {name: venues, mountPath: /etc/stratops/venues, readOnly: true}
{{- range $name, $venue := .Values.gateway.venues }}
{{- if $venue.tlsSecret }}
- {name: venue-tls-{{ $name }}, mountPath: /etc/stratops/venue-tls/{{ $name }}, readOnly: true}
{{- end }}
{{- end }}
{{- else if .Values.venue.tlsSecret }}
- {name: venue-tls, mountPath: /etc/stratops/venue-tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "stratops.venue.volumes" -}}
{{- if .Values.gateway.venues }}
- name: venues
  configMap: {name: stratops-venues}
{{- range $name, $venue := .Values.gateway.venues }}
{{- if $venue.tlsSecret }}
- name: venue-tls-{{ $name }}
  secret: {secretName: {{ $venue.tlsSecret }}}
{{- end }}
{{- end }}
{{- else if .Values.venue.tlsSecret }}
- name: venue-tls
  secret: {secretName: {{ .Values.venue.tlsSecret }}}
{{- end }}
{{- end }}
