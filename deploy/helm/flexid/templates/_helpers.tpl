{{- define "flexid.name" -}}
{{- if contains "flexid" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-flexid" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "flexid.selector" -}}
app.kubernetes.io/name: flexid
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "flexid.labels" -}}
{{ include "flexid.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "flexid.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Settings without secrets. The migration job has them in its own environment, since it runs before the ConfigMap is there. */}}
{{- define "flexid.settings" -}}
ACAPY_ENDPOINT: {{ .Values.endpoint | quote }}
ACAPY_ADMIN: 0.0.0.0 8031
ACAPY_INBOUND_TRANSPORT: http 0.0.0.0 8030
ACAPY_MULTITENANT: {{ .Values.multitenant | quote }}
{{- range $name, $value := .Values.config }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "flexid.secretEnv" -}}
{{- $secret := .Values.secret }}
- name: ACAPY_WALLET_KEY
  valueFrom:
    secretKeyRef:
      name: {{ $secret.name }}
      key: {{ $secret.keys.walletKey }}
- name: FLEXID_STORE
  valueFrom:
    secretKeyRef:
      name: {{ $secret.name }}
      key: {{ $secret.keys.databaseUrl }}
- name: ACAPY_ADMIN_API_KEY
  valueFrom:
    secretKeyRef:
      name: {{ $secret.name }}
      key: {{ $secret.keys.adminApiKey }}
{{- if .Values.multitenant }}
- name: ACAPY_MULTITENANT_JWT_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ $secret.name }}
      key: {{ $secret.keys.jwtSecret }}
{{- end }}
- name: FLEXID_ALGOD_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ $secret.name }}
      key: {{ $secret.keys.algodToken }}
      optional: true
{{- end }}

{{- define "flexid.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "flexid.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* One pod for both deployments: .root is the chart's context, .component says which. */}}
{{- define "flexid.pod" -}}
{{- $root := .root }}
metadata:
  labels:
    {{- include "flexid.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  annotations:
    # a changed setting is a new pod: the environment is read once
    checksum/settings: {{ include "flexid.settings" $root | sha256sum }}
    {{- with $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "flexid.name" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- include "flexid.podSecurity" $root | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "flexid.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ .component }}
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "flexid.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ .component }}
  containers:
    - name: agent
      image: {{ include "flexid.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [start]
      securityContext:
        {{- include "flexid.containerSecurity" $root | nindent 8 }}
      ports:
        {{- if eq .component "agent" }}
        - name: inbound
          containerPort: 8030
        {{- end }}
        - name: admin
          containerPort: 8031
      envFrom:
        - configMapRef:
            name: {{ include "flexid.name" $root }}
      env:
        - name: NODE_OPTIONS
          value: {{ $root.Values.nodeOptions | quote }}
        {{- include "flexid.secretEnv" $root | nindent 8 }}
        - name: FLEXID_SPONSOR_MNEMONIC
          valueFrom:
            secretKeyRef:
              name: {{ $root.Values.secret.name }}
              key: {{ $root.Values.secret.keys.sponsorMnemonic }}
              optional: true
        - name: OTEL_EXPORTER_OTLP_HEADERS
          valueFrom:
            secretKeyRef:
              name: {{ $root.Values.secret.name }}
              key: {{ $root.Values.secret.keys.otlpHeaders }}
              optional: true
        {{- if eq .component "operator" }}
        - name: ACAPY_MULTITENANT_ADMIN
          value: "true"
        - name: ACAPY_NO_TRANSPORT
          value: "true"
        {{- end }}
      # the first start compiles; after that the other two decide
      startupProbe:
        httpGet:
          path: /status/live
          port: admin
        periodSeconds: 2
        failureThreshold: 60
      # never asks the database or the ledger: their outage must not restart the agents
      livenessProbe:
        httpGet:
          path: /status/live
          port: admin
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # asks both, and says no as soon as the agent drains
      readinessProbe:
        httpGet:
          path: /status/ready
          port: admin
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      lifecycle:
        preStop:
          exec:
            command: [sleep, {{ $root.Values.preStopSeconds | quote }}]
      resources:
        {{- toYaml $root.Values.resources | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
        - name: data
          mountPath: /data
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: 256Mi
    - name: data
      emptyDir:
        sizeLimit: 64Mi
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
