{{- define "heddle.name" -}}
{{ .Values.name | default .Release.Name }}
{{- end }}

{{- define "heddle.metadata" -}}
name: {{ include "heddle.name" .root }}-{{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  app.kubernetes.io/name: heddle
  app.kubernetes.io/instance: {{ include "heddle.name" .root }}
  {{- with .role }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
{{- end }}

{{- define "heddle.selector" -}}
app.kubernetes.io/name: heddle
app.kubernetes.io/component: {{ . }}
{{- end }}

{{- define "heddle.image" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "heddle.ordinal" -}}
- name: ROLE
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['app.kubernetes.io/component']
- name: POD_INDEX
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['apps.kubernetes.io/pod-index']
{{- end }}

{{- define "heddle.confined" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "heddle.p2p-ports" -}}
ports:
  - port: 30303
    protocol: TCP
  - port: 30303
    protocol: UDP
{{- end }}

{{- define "heddle.init" -}}
{{- if and .root.Values.snapshot.enabled (ne .role "validator") }}
- name: snapshot
  {{- include "heddle.image" .root | nindent 2 }}
  args: [snapshot, restore, --if-empty, --chain, /config/genesis.json, --datadir, /data/node, /snapshot/snapshot.heddle]
  resources:
    requests:
      cpu: "1"
      memory: 2Gi
    limits:
      memory: 2Gi
  {{- include "heddle.confined" . | nindent 2 }}
  volumeMounts:
    - name: genesis
      mountPath: /config/genesis.json
      subPath: genesis.json
      readOnly: true
    - name: snapshot
      mountPath: /snapshot
      readOnly: true
    - name: data
      mountPath: /data
{{- end }}
# Secrets are mounted as root's and readable by a group; a node takes only keys of its own user, mode 0600.
- name: keys
  {{- include "heddle.image" .root | nindent 2 }}
  args: [key, install, --from, /identity, --to, /keys/node, --sign-state, /data/keys/sign-state]
  env:
    {{- include "heddle.ordinal" . | nindent 4 }}
  resources:
    requests:
      cpu: 100m
      memory: 64Mi
    limits:
      memory: 64Mi
  {{- include "heddle.confined" . | nindent 2 }}
  volumeMounts:
    {{- $files := list "node.key" }}
    {{- if eq .role "validator" }}
    {{- $files = list "validator.key" "sign-state.json" "node.key" }}
    {{- end }}
    {{- range $file := $files }}
    - name: identity
      mountPath: /identity/{{ $file }}
      subPathExpr: $(ROLE)-$(POD_INDEX).{{ $file }}
      readOnly: true
    {{- end }}
    - name: keys
      mountPath: /keys
    - name: data
      mountPath: /data
{{- end }}

{{- define "heddle.container" -}}
- name: heddle
  {{- include "heddle.image" .root | nindent 2 }}
  args: [node, --config, /config/node.toml]
  env:
    {{- include "heddle.ordinal" . | nindent 4 }}
    - name: POD_IP
      valueFrom:
        fieldRef:
          fieldPath: status.podIP
    # What the node announces to peers: it listens on every address.
    - name: HEDDLE_NAT
      value: extip:$(POD_IP)
    - name: HEDDLE_LOG_FORMAT
      value: json
  ports:
    {{- if eq .role "rpc" }}
    - name: http
      containerPort: 8545
      protocol: TCP
    {{- end }}
    - name: p2p-tcp
      containerPort: 30303
      protocol: TCP
    - name: p2p-udp
      containerPort: 30303
      protocol: UDP
    - name: metrics
      containerPort: 9001
      protocol: TCP
  # An hour. The port is closed while the database replays what a crash left unsorted, and while a new version migrates it.
  startupProbe:
    httpGet:
      path: /startup
      port: metrics
    periodSeconds: 5
    failureThreshold: 720
  # A node that is behind, alone or without a quorum is alive: a restart would help nobody.
  livenessProbe:
    httpGet:
      path: /health
      port: metrics
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  readinessProbe:
    httpGet:
      path: /ready
      port: metrics
    periodSeconds: 5
    timeoutSeconds: 3
    failureThreshold: 3
  resources:
    {{- toYaml .values.resources | nindent 4 }}
  {{- include "heddle.confined" . | nindent 2 }}
  volumeMounts:
    - name: genesis
      mountPath: /config/genesis.json
      subPath: genesis.json
      readOnly: true
    - name: config
      mountPath: /config/node.toml
      subPathExpr: $(ROLE)-$(POD_INDEX).toml
      readOnly: true
    - name: keys
      mountPath: /keys
      readOnly: true
    - name: data
      mountPath: /data
{{- end }}

{{- define "heddle.volumes" -}}
{{- $name := include "heddle.name" .root }}
{{- if and .root.Values.snapshot.enabled (ne .role "validator") }}
- name: snapshot
  persistentVolumeClaim:
    claimName: {{ $name }}-snapshot
    readOnly: true
{{- end }}
- name: config
  configMap:
    name: {{ $name }}-{{ .role }}-config
- name: identity
  secret:
    secretName: {{ $name }}-{{ .role }}-keys
    defaultMode: 288 # 0440, which is no number to every reader of YAML
- name: genesis
  configMap:
    name: {{ $name }}-genesis
- name: keys
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- end }}
