{{- define "healthsync.labels" -}}
app.kubernetes.io/name: healthsync
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "healthsync.selector" -}}
app.kubernetes.io/name: healthsync
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Not empty: the bridges share one log. */ -}}
{{- define "healthsync.shares" -}}
{{- if and (eq .Values.mode "external") .Values.postgres.url (gt (int .Values.external.bridges) 1) }}true{{ end -}}
{{- end }}

{{- define "healthsync.image" -}}
{{- $repository := required "image.repository: build deploy/compose/Dockerfile, push the image, and name it" .Values.image.repository -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
