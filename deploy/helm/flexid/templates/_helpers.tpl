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

{{/* Whether messages are taken on WebSockets. */}}
{{- define "flexid.sockets" -}}
{{- or .Values.webSockets .Values.mediator.enabled }}
{{- end }}

{{/* A mediator needs no ledger; it has one where one is told. */}}
{{- define "flexid.ledger" -}}
{{- and .Values.ledger.enabled (not (and .Values.mediator.enabled (not .Values.ledger.algodUrl))) }}
{{- end }}

{{/* What peers are told: the endpoint, the same one for WebSockets unless another is given, and further ones. */}}
{{- define "flexid.endpoints" -}}
{{- $all := list .Values.endpoint }}
{{- $told := false }}
{{- range .Values.extraEndpoints }}{{ if regexMatch "^wss?://" . }}{{ $told = true }}{{ end }}{{ end }}
{{- if and (eq (include "flexid.sockets" .) "true") (not $told) }}
{{- $all = append $all (regexReplaceAll "^http" .Values.endpoint "ws") }}
{{- end }}
{{- concat $all .Values.extraEndpoints | join " " }}
{{- end }}

{{/* The port of the Algorand node. */}}
{{- define "flexid.algodPort" -}}
{{- $url := urlParse .Values.ledger.algodUrl }}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- end }}

{{/* Host names and words that stand for something else: an agent that was installed with one looks well and can be reached by nobody. */}}
{{- define "flexid.placeholder" -}}
{{- regexMatch "(?i)(^|[^a-z])(change-?_?me|replace-?_?me|todo|placeholder|your-?_?domain|xxx+)([^a-z]|$)|(^|[/@.])example(\\.(com|org|net))?([:/]|$)|\\.(example|invalid|test|localhost)([:/]|$)|//localhost([:/]|$)|<[^>]*>" . }}
{{- end }}

{{/* Refuses what cannot be meant, before anything is installed. */}}
{{- define "flexid.checks" -}}
{{- $wrong := list }}
{{- $v := .Values }}
{{- if not $v.endpoint }}
{{- $wrong = append $wrong "endpoint is not set: the URL under which peers reach the message port, as in --set endpoint=https://agent.yourdomain.org" }}
{{- end }}
{{- range $name, $value := dict "endpoint" $v.endpoint "ingress.host" $v.ingress.host "ledger.algodUrl" $v.ledger.algodUrl "secret.name" $v.secret.name "image.repository" $v.image.repository }}
{{- if eq (include "flexid.placeholder" $value) "true" }}
{{- $wrong = append $wrong (printf "%s is a placeholder: %s" $name $value) }}
{{- end }}
{{- end }}
{{- range $v.extraEndpoints }}
{{- if eq (include "flexid.placeholder" .) "true" }}
{{- $wrong = append $wrong (printf "extraEndpoints has a placeholder: %s" .) }}
{{- end }}
{{- end }}
{{- range $name, $value := $v.config }}
{{- if eq (include "flexid.placeholder" $value) "true" }}
{{- $wrong = append $wrong (printf "config.%s is a placeholder: %s" $name $value) }}
{{- end }}
{{- end }}
{{- if eq (include "flexid.ledger" .) "true" }}
{{- if not $v.ledger.algodUrl }}
{{- $wrong = append $wrong "ledger.algodUrl is not set: the URL of an Algorand node; or say ledger.enabled=false" }}
{{- end }}
{{- if not (regexMatch "^[1-9][0-9]*$" (toString $v.ledger.appId)) }}
{{- $wrong = append $wrong "ledger.appId is not set: the number of the registry application on that network, as in --set-string ledger.appId=1234; or say ledger.enabled=false" }}
{{- end }}
{{- end }}
{{- if and $v.mediator.enabled $v.multitenant }}
{{- $wrong = append $wrong "mediator.enabled serves one wallet: say multitenant=false with it" }}
{{- end }}
{{- $secret := lookup "v1" "Secret" .Release.Namespace $v.secret.name }}
{{- if $secret }}
{{- range $name := ternary (list "walletKey" "adminApiKey" "databaseUrl" "jwtSecret") (list "walletKey" "adminApiKey" "databaseUrl") $v.multitenant }}
{{- $key := get $v.secret.keys $name }}
{{- $value := get ($secret.data | default dict) $key | b64dec | trim }}
{{- if not $value }}
{{- $wrong = append $wrong (printf "the secret %s has nothing under %s" $v.secret.name $key) }}
{{- else if eq (include "flexid.placeholder" $value) "true" }}
{{- $wrong = append $wrong (printf "the secret %s has a placeholder under %s" $v.secret.name $key) }}
{{- end }}
{{- end }}
{{- else if lookup "v1" "ServiceAccount" .Release.Namespace "default" }}
{{- $wrong = append $wrong (printf "there is no secret %s in the namespace %s: docs/Kubernetes.md says what belongs into it" $v.secret.name .Release.Namespace) }}
{{- end }}
{{- if $wrong }}
{{- fail (printf "\n\nNot installed:\n  - %s\n" (join "\n  - " $wrong)) }}
{{- end }}
{{- end }}

{{/* Settings without secrets. The migration job has them in its own environment, since it runs before the ConfigMap is there. */}}
{{- define "flexid.settings" -}}
ACAPY_ENDPOINT: {{ include "flexid.endpoints" . | quote }}
ACAPY_ADMIN: 0.0.0.0 8031
ACAPY_INBOUND_TRANSPORT: {{ if eq (include "flexid.sockets" .) "true" }}http 0.0.0.0 8030 ws 0.0.0.0 8030{{ else }}http 0.0.0.0 8030{{ end }}
ACAPY_MULTITENANT: {{ .Values.multitenant | quote }}
{{- if eq (include "flexid.ledger" .) "true" }}
FLEXID_ALGOD_URL: {{ .Values.ledger.algodUrl | quote }}
FLEXID_ALGORAND_NETWORK: {{ .Values.ledger.network | quote }}
FLEXID_ALGORAND_APP_ID: {{ .Values.ledger.appId | quote }}
{{- else }}
ACAPY_NO_LEDGER: "true"
{{- end }}
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
      args: [{{ if and $root.Values.mediator.enabled $root.Values.mediator.open }}start, mediator{{ else }}start{{ end }}]
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
      # asks the database and not the ledger, without which messages and mail go on; says no as soon as the agent drains
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
