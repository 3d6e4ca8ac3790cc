{{- define "healthsync.labels" -}}
app.kubernetes.io/name: healthsync
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* The pod that has the installation's volume. The others have names that this one does not begin to select. */ -}}
{{- define "healthsync.selector" -}}
app.kubernetes.io/name: healthsync
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "healthsync.bridge.selector" -}}
app.kubernetes.io/name: healthsync-bridge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "healthsync.bridge.labels" -}}
{{ include "healthsync.bridge.selector" . }}
app.kubernetes.io/part-of: healthsync
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "healthsync.migrate.selector" -}}
app.kubernetes.io/name: healthsync-migrate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "healthsync.migrate.labels" -}}
{{ include "healthsync.migrate.selector" . }}
app.kubernetes.io/part-of: healthsync
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Not empty: bridges are pods, however many, with one log and one registry on PostgreSQL. */ -}}
{{- define "healthsync.shares" -}}
{{- if and (eq .Values.mode "external") .Values.postgres.url .Values.postgres.shared }}true{{ end -}}
{{- end }}

{{- /* Not empty: there are some beside the first one. */ -}}
{{- define "healthsync.others" -}}
{{- if and (include "healthsync.shares" .) (gt (int .Values.external.bridges) 1) }}true{{ end -}}
{{- end }}

{{- define "healthsync.gateway.selector" -}}
app.kubernetes.io/name: healthsync-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "healthsync.gateway.labels" -}}
{{ include "healthsync.gateway.selector" . }}
app.kubernetes.io/part-of: healthsync
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* The ids of gateways in pods of their own, with commas between; empty: there are none. */ -}}
{{- define "healthsync.gateways" -}}
{{- if and (include "healthsync.shares" .) (gt (int .Values.gateway.replicas) 0) }}
{{- $ids := list }}
{{- range $number := untilStep 1 (int (add1 (int .Values.gateway.replicas))) 1 }}{{ $ids = append $ids (toString $number) }}{{ end -}}
{{ join "," $ids | quote }}
{{- end }}
{{- end }}

{{- define "healthsync.image" -}}
{{- $repository := required "image.repository: build deploy/compose/Dockerfile, push the image, and name it" .Values.image.repository -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "healthsync.bridges" -}}
{{- $names := list }}
{{- range $part := untilStep 1 (int (add1 (int .Values.external.bridges))) 1 }}{{ $names = append $names (printf "bridge-%d" $part) }}{{ end -}}
{{ join "," $names | quote }}
{{- end }}
