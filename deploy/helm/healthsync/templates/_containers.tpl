{{- /* What every container of ours is: the image, its account, no rights. */ -}}
{{- define "healthsync.container" -}}
image: {{ include "healthsync.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  runAsUser: 10001
  runAsGroup: 10001
  runAsNonRoot: true
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
volumeMounts:
  - {name: volume, mountPath: /volume}
  - {name: tmp, mountPath: /tmp}
  {{- if .Values.passphrase.secretName }}
  - {name: passphrase, mountPath: /passphrase, readOnly: true}
  {{- end }}
  {{- if and (eq .Values.mode "external") .Values.external.caConfigMap }}
  - {name: broker-ca, mountPath: /broker-ca, readOnly: true}
  {{- end }}
{{- end }}

{{- /* The first steps are root for a moment, to make what belongs to the account. */ -}}
{{- define "healthsync.maker" -}}
image: {{ include "healthsync.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  runAsUser: 0
  runAsGroup: 0
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL], add: [CHOWN, DAC_OVERRIDE, FOWNER]}
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "healthsync.environment" -}}
- {name: HEALTHSYNC_BROKER__CERTIFICATE_HOSTS, value: {{ join "," (ternary .Values.hosts (append .Values.hosts .Values.external.host) (eq .Values.mode "embedded")) | quote }}}
{{- with .Values.postgres.url }}
- {name: HEALTHSYNC_STORAGE__URL, value: {{ . | quote }}}
{{- end }}
{{- if .Values.postgres.passwordSecretName }}
- {name: HEALTHSYNC_STORAGE__PASSWORD_FILE, value: /volume/data/postgres.secret}
{{- end }}
{{- if include "healthsync.shares" . }}
- {name: HEALTHSYNC_STORAGE__SHARED, value: "true"}
- {name: HEALTHSYNC_EXTERNAL__SHARE, value: all}
{{- end }}
{{- if eq .Values.mode "external" }}
- {name: HEALTHSYNC_EXTERNAL__HOST, value: {{ required "external.host: the broker's name" .Values.external.host | quote }}}
- {name: HEALTHSYNC_EXTERNAL__PORT, value: {{ .Values.external.port | quote }}}
{{- if .Values.external.caConfigMap }}
- {name: HEALTHSYNC_EXTERNAL__CA_FILE, value: /broker-ca/{{ .Values.external.caKey }}}
{{- else }}
- {name: HEALTHSYNC_EXTERNAL__CA_FILE, value: /volume/data/certs/ca.crt}
{{- end }}
{{- end }}
{{- range $key, $value := .Values.settings }}
- {name: HEALTHSYNC_{{ $key | upper | replace "." "__" }}, value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}}
{{- end }}
{{- if .Values.passphrase.secretName }}
- {name: HEALTHSYNC_KEY_PASSPHRASE_FILE, value: /passphrase/passphrase}
{{- end }}
{{- end }}

{{- /* All of them ask inside of the pod: the port is on the loopback address. */ -}}
{{- define "healthsync.probes" -}}
startupProbe:
  {{- include "healthsync.asks" (list "readyz" .) | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 120
readinessProbe:
  {{- include "healthsync.asks" (list "readyz" .) | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
livenessProbe:
  {{- include "healthsync.asks" (list "healthz" .) | nindent 2 }}
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{- define "healthsync.asks" -}}
exec:
  command:
    - python3
    - -c
    - import urllib.request; urllib.request.urlopen('http://127.0.0.1:{{ last . }}/{{ first . }}', timeout=3)
{{- end }}

{{- /* Broker, bridge, adapters, insights, sinks and, if it is wanted, the gateway: processes of one service. */ -}}
{{- define "healthsync.embedded" -}}
- name: healthsync
  {{- include "healthsync.container" . | nindent 2 }}
  args: [up]
  env:
    - {name: HEALTHSYNC_DATA, value: /volume/data}
    - {name: HEALTHSYNC_METRICS__PORT, value: "9464"}
    {{- if .Values.gateway.enabled }}
    - {name: HEALTHSYNC_GATEWAY__PORT, value: "8443"}
    {{- end }}
    {{- include "healthsync.environment" . | nindent 4 }}
  ports:
    - {name: mqtts, containerPort: 8883}
    - {name: wss, containerPort: 8084}
    {{- if .Values.gateway.enabled }}
    - {name: https, containerPort: 8443}
    {{- end }}
  {{- include "healthsync.probes" 9464 | nindent 2 }}
  resources: {{- toYaml .Values.resources | nindent 4 }}
{{- end }}

{{- /* Bridges on a broker that is there already, and what keeps its rights in line. */ -}}
{{- define "healthsync.external" -}}
{{- $root := . }}
{{- $bridges := int .Values.external.bridges }}
{{- range $part := untilStep 1 (int (add1 $bridges)) 1 }}
- name: bridge-{{ $part }}
  {{- include "healthsync.container" $root | nindent 2 }}
  args: [bridge, run{{ if not (include "healthsync.shares" $root) }}, --shard, {{ $part }}/{{ $bridges }}{{ end }}]
  env:
    - {name: HEALTHSYNC_DATA, value: {{ ternary "/volume/data" (printf "/volume/bridge-%d" $part) (eq $part 1) }}}
    - {name: HEALTHSYNC_BRIDGE__ID, value: bridge-{{ $part }}}
    - {name: HEALTHSYNC_EXTERNAL__REGISTRY_FILE, value: /volume/data/registry.db}
    - {name: HEALTHSYNC_METRICS__PORT, value: "{{ add 9463 $part }}"}
    {{- include "healthsync.environment" $root | nindent 4 }}
  {{- include "healthsync.probes" (add 9463 $part) | nindent 2 }}
  resources: {{- toYaml $root.Values.resources | nindent 4 }}
{{- end }}
{{- if eq .Values.external.access "provision" }}
- name: provision
  {{- include "healthsync.container" . | nindent 2 }}
  args: [broker, provision, mosquitto, --watch, --bridges, {{ include "healthsync.bridges" . }}]
  env:
    - {name: HEALTHSYNC_DATA, value: /volume/data}
    {{- include "healthsync.environment" . | nindent 4 }}
{{- else if eq .Values.external.access "hooks" }}
- name: auth
  {{- include "healthsync.container" . | nindent 2 }}
  args: [auth, serve, --bridges, {{ include "healthsync.bridges" . }}{{ range .Values.external.hookArguments }}, {{ . | quote }}{{ end }}]
  env:
    - {name: HEALTHSYNC_DATA, value: /volume/data}
    {{- include "healthsync.environment" . | nindent 4 }}
{{- end }}
{{- end }}

{{- define "healthsync.bridges" -}}
{{- $names := list }}
{{- range $part := untilStep 1 (int (add1 (int .Values.external.bridges))) 1 }}{{ $names = append $names (printf "bridge-%d" $part) }}{{ end -}}
{{ join "," $names | quote }}
{{- end }}
