{{- /* What every pod is: no rights at the cluster, and where it may run. */ -}}
{{- define "healthsync.pod" -}}
automountServiceAccountToken: false
terminationGracePeriodSeconds: 30
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The password of PostgreSQL as a private file, for containers that have the mounts below. */ -}}
{{- define "healthsync.password" -}}
{{- if .Values.postgres.passwordSecretName }}
# A secret's file is root's, and a password that others can read is refused. Into memory.
- name: password
  {{- include "healthsync.maker" . | nindent 2 }}
  command: [install, -o, "10001", -g, "10001", -m, "0400", /database-secret/password, /database/password]
  volumeMounts:
    - {name: database, mountPath: /database}
    - {name: database-secret, mountPath: /database-secret, readOnly: true}
{{- end }}
{{- end }}

{{- /* The passphrase of the keys, in the same way. */ -}}
{{- define "healthsync.passphrase" -}}
{{- if .Values.passphrase.secretName }}
# Into memory: on the volume it would lie beside what it seals, and an environment is shown with the pod's state.
- name: passphrase
  {{- include "healthsync.maker" . | nindent 2 }}
  command: [install, -o, "10001", -g, "10001", -m, "0400", /secret/passphrase, /passphrase/passphrase]
  volumeMounts:
    - {name: passphrase, mountPath: /passphrase}
    - {name: passphrase-secret, mountPath: /secret, readOnly: true}
{{- end }}
{{- end }}

{{- define "healthsync.passphrase.volumes" -}}
{{- if .Values.passphrase.secretName }}
- {name: passphrase, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
- name: passphrase-secret
  secret:
    secretName: {{ .Values.passphrase.secretName }}
    items: [{key: {{ .Values.passphrase.key }}, path: passphrase}]
{{- end }}
{{- end }}

{{- define "healthsync.database.volumes" -}}
{{- if .Values.postgres.passwordSecretName }}
- {name: database, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
- name: database-secret
  secret:
    secretName: {{ .Values.postgres.passwordSecretName }}
    items: [{key: {{ .Values.postgres.passwordKey }}, path: password}]
{{- end }}
{{- if .Values.postgres.caConfigMap }}
- {name: database-ca, configMap: {name: {{ .Values.postgres.caConfigMap }}}}
{{- end }}
{{- end }}

{{- define "healthsync.database.mounts" -}}
{{- if .Values.postgres.passwordSecretName }}
- {name: database, mountPath: /database, readOnly: true}
{{- end }}
{{- if .Values.postgres.caConfigMap }}
- {name: database-ca, mountPath: /database-ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "healthsync.database.url" -}}
{{- .Values.postgres.url -}}
{{- if .Values.postgres.caConfigMap -}}
{{ ternary "&" "?" (contains "?" .Values.postgres.url) }}sslrootcert=/database-ca/{{ .Values.postgres.caKey }}
{{- end -}}
{{- end }}

{{- /* Where the log is and, where bridges are pods, the registry. */ -}}
{{- define "healthsync.database" -}}
{{- if .Values.postgres.url }}
- {name: HEALTHSYNC_STORAGE__URL, value: {{ include "healthsync.database.url" . | quote }}}
{{- if .Values.postgres.passwordSecretName }}
- {name: HEALTHSYNC_STORAGE__PASSWORD_FILE, value: /database/password}
{{- end }}
{{- end }}
{{- if include "healthsync.shares" . }}
- {name: HEALTHSYNC_STORAGE__SHARED, value: "true"}
- {name: HEALTHSYNC_REGISTRY__URL, value: {{ include "healthsync.database.url" . | quote }}}
{{- if .Values.postgres.passwordSecretName }}
- {name: HEALTHSYNC_REGISTRY__PASSWORD_FILE, value: /database/password}
{{- end }}
{{- end }}
{{- end }}
