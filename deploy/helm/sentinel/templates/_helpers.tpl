{{- define "sentinel.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "sentinel.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sentinel.labels" -}}
{{ include "sentinel.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "sentinel.secretName" -}}
{{- .Values.secrets.existingSecret | default (include "sentinel.fullname" .) }}
{{- end }}

{{- /* The keys that the Secret holds, as a list in JSON. */}}
{{- define "sentinel.secretKeys" -}}
{{- if .Values.secrets.existingSecret }}{{ .Values.secrets.keys | toJson }}{{ else }}{{ keys .Values.secrets.values | sortAlpha | toJson }}{{ end }}
{{- end }}

{{- define "sentinel.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "sentinel.env" -}}
- { name: SENTINEL_DATA_DIR, value: /var/lib/sentinel }
- { name: SENTINEL_LISTEN, value: "0.0.0.0:7000" }
- { name: SENTINEL_ADMIN_LISTEN, value: "0.0.0.0:7001" }
- { name: SENTINEL_LOG_FORMAT, value: json }
- { name: SENTINEL_PROXY_DRAIN_SECONDS, value: {{ .Values.drain.seconds | quote }} }
- { name: UPSTREAM_URL, value: {{ join "," .Values.upstream.urls | quote }} }
- { name: SENTINEL_PROFILE, value: {{ .Values.upstream.profile | quote }} }
- { name: SENTINEL_TRUSTED_PROXIES, value: {{ join "," .Values.clientAddress.trustedProxies | quote }} }
- { name: SENTINEL_CLIENT_IP_HEADER, value: {{ .Values.clientAddress.header | quote }} }
- name: SENTINEL_AUDIT_REPLICA_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- if .Values.configFile }}
- { name: SENTINEL_CONFIG, value: /etc/sentinel/sentinel.toml }
{{- end }}
{{- $variables := dict "hmac-secret" "SENTINEL_HMAC_SECRET" "pg-dsn" "PG_DSN" "redis-url" "REDIS_URL" "admin-password" "ADMIN_PASSWORD" "jwt-secret" "ADMIN_JWT_SECRET" "alert-webhook-url" "ALERT_WEBHOOK_URL" "alert-webhook-secret" "ALERT_WEBHOOK_SECRET" }}
{{- range include "sentinel.secretKeys" . | fromJsonArray }}
- { name: {{ get $variables . }}_FILE, value: /run/secrets/sentinel/{{ . }} }
{{- end }}
{{- range $name, $value := .Values.settings }}
- { name: {{ $name }}, value: {{ $value | toString | quote }} }
{{- end }}
{{- end }}

{{- define "sentinel.mounts" -}}
- { name: data, mountPath: /var/lib/sentinel }
{{- if include "sentinel.secretKeys" . | fromJsonArray }}
- { name: secrets, mountPath: /run/secrets/sentinel, readOnly: true }
{{- end }}
{{- if .Values.configFile }}
- { name: config, mountPath: /etc/sentinel, readOnly: true }
{{- end }}
{{- end }}

{{- define "sentinel.volumes" -}}
{{- with include "sentinel.secretKeys" . | fromJsonArray }}
- name: secrets
  secret:
    secretName: {{ include "sentinel.secretName" $ }}
    # For the pod's group, and for no others.
    defaultMode: 0440
    items:
    {{- range . }}
      - { key: {{ . }}, path: {{ . }} }
    {{- end }}
{{- end }}
{{- if .Values.configFile }}
- name: config
  configMap: { name: {{ include "sentinel.fullname" . }} }
{{- end }}
{{- if not .Values.persistence.enabled }}
- name: data
  emptyDir: { sizeLimit: {{ .Values.persistence.size }} }
{{- end }}
{{- end }}

{{- define "sentinel.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "sentinel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}
