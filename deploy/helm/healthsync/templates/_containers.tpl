{{- /* What every container of ours is: the image, its account, no rights. */ -}}
{{- define "healthsync.account" -}}
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
{{- end }}

{{- /* One in the pod that has the installation's volume. */ -}}
{{- define "healthsync.container" -}}
{{ include "healthsync.account" . }}
volumeMounts:
  - {name: volume, mountPath: /volume}
  - {name: tmp, mountPath: /tmp}
  {{- with include "healthsync.database.mounts" . | trim }}{{ . | nindent 2 }}{{ end }}
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

{{- /* Of the pod that has the installation's volume. */ -}}
{{- define "healthsync.environment" -}}
- {name: HEALTHSYNC_BROKER__CERTIFICATE_HOSTS, value: {{ join "," (ternary .Values.hosts (append .Values.hosts .Values.external.host) (eq .Values.mode "embedded")) | quote }}}
{{- with include "healthsync.database" . | trim }}{{ . | nindent 0 }}{{ end }}
{{- if eq .Values.mode "external" }}
{{ include "healthsync.broker" . }}
- {name: HEALTHSYNC_EXTERNAL__CA_FILE, value: {{ ternary (printf "/broker-ca/%s" .Values.external.caKey) "/volume/data/certs/ca.crt" (ne .Values.external.caConfigMap "") }}}
{{- end }}
{{- with include "healthsync.settings" . | trim }}{{ . | nindent 0 }}{{ end }}
{{- if .Values.passphrase.secretName }}
- {name: HEALTHSYNC_KEY_PASSPHRASE_FILE, value: /passphrase/passphrase}
{{- end }}
{{- end }}

{{- define "healthsync.broker" -}}
- {name: HEALTHSYNC_EXTERNAL__HOST, value: {{ required "external.host: the broker's name" .Values.external.host | quote }}}
- {name: HEALTHSYNC_EXTERNAL__PORT, value: {{ .Values.external.port | quote }}}
{{- end }}

{{- define "healthsync.settings" -}}
{{- range $key, $value := .Values.settings }}
- {name: HEALTHSYNC_{{ $key | upper | replace "." "__" }}, value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}}
{{- end }}
{{- end }}

{{- /* Which messages a bridge of a shared log works on; the argument is the root and its number. */ -}}
{{- define "healthsync.part" -}}
{{- $root := first . -}}
{{- if eq $root.Values.external.divide "users" -}}
- {name: HEALTHSYNC_EXTERNAL__SHARD, value: {{ last . }}/{{ $root.Values.external.bridges }}}
{{- else -}}
- {name: HEALTHSYNC_EXTERNAL__SHARE, value: all}
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

{{- /* It serves. Whether its broker is there is no matter: it says so to whoever sends, and whoever reads needs none. */ -}}
{{- define "healthsync.gateway.probes" -}}
startupProbe:
  {{- include "healthsync.gateway.asks" . | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 120
readinessProbe:
  {{- include "healthsync.gateway.asks" . | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
livenessProbe:
  {{- include "healthsync.gateway.asks" . | nindent 2 }}
  periodSeconds: 30
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{- define "healthsync.gateway.asks" -}}
exec:
  command:
    - python3
    - -c
    - import ssl, urllib.request as r; r.urlopen('https://127.0.0.1:8443/v1/catalogue', timeout=3, context=ssl._create_unverified_context())
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

{{- /* Bridges on a broker that is there already, and what keeps its rights in line. Of those that share a log the first one is here. */ -}}
{{- define "healthsync.external" -}}
{{- $root := . }}
{{- $shares := include "healthsync.shares" . }}
{{- $here := ternary 1 (int .Values.external.bridges) (ne $shares "") }}
{{- range $part := untilStep 1 (int (add1 $here)) 1 }}
- name: bridge-{{ $part }}
  {{- include "healthsync.container" $root | nindent 2 }}
  args: [bridge, run{{ if not $shares }}, --shard, {{ $part }}/{{ $here }}{{ end }}]
  env:
    - {name: HEALTHSYNC_DATA, value: {{ ternary "/volume/data" (printf "/volume/bridge-%d" $part) (eq $part 1) }}}
    - {name: HEALTHSYNC_BRIDGE__ID, value: bridge-{{ $part }}}
    - {name: HEALTHSYNC_METRICS__PORT, value: "{{ add 9463 $part }}"}
    {{- if $root.Values.gateway.enabled }}
    - {name: HEALTHSYNC_GATEWAY__PORT, value: "8443"}
    {{- end }}
    {{- if $shares }}
    # Here are the files about persons, and here they are erased.
    - {name: HEALTHSYNC_REGISTRY__HOME, value: "true"}
    {{- include "healthsync.part" (list $root 1) | nindent 4 }}
    {{- else }}
    - {name: HEALTHSYNC_EXTERNAL__REGISTRY_FILE, value: /volume/data/registry.db}
    {{- end }}
    {{- include "healthsync.environment" $root | nindent 4 }}
  {{- if $root.Values.gateway.enabled }}
  ports:
    - {name: https, containerPort: 8443}
  {{- end }}
  {{- include "healthsync.probes" (add 9463 $part) | nindent 2 }}
  resources: {{- toYaml $root.Values.resources | nindent 4 }}
{{- end }}
{{- if eq .Values.external.access "provision" }}
- name: provision
  {{- include "healthsync.container" . | nindent 2 }}
  args: [broker, provision, mosquitto, --watch, --bridges, {{ include "healthsync.bridges" . }}{{ with include "healthsync.gateways" . }}, --gateways, {{ . }}{{ end }}]
  env:
    - {name: HEALTHSYNC_DATA, value: /volume/data}
    {{- include "healthsync.environment" . | nindent 4 }}
  resources: {{- toYaml .Values.accessResources | nindent 4 }}
{{- else if eq .Values.external.access "hooks" }}
- name: auth
  {{- include "healthsync.container" . | nindent 2 }}
  args: [auth, serve, --bridges, {{ include "healthsync.bridges" . }}{{ with include "healthsync.gateways" . }}, --gateways, {{ . }}{{ end }}{{ range .Values.external.hookArguments }}, {{ . | quote }}{{ end }}]
  env:
    - {name: HEALTHSYNC_DATA, value: /volume/data}
    {{- include "healthsync.environment" . | nindent 4 }}
  resources: {{- toYaml .Values.accessResources | nindent 4 }}
{{- end }}
{{- end }}
