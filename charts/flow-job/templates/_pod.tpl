{{- /* The pod template as one would write it by hand, without Podhooks. */ -}}
{{- define "flow-job.pod" -}}
{{- $mounts := .Values.volumeMounts | default list -}}
{{- $volumes := .Values.volumes | default list -}}
{{- if .Values.callbacks.files -}}
  {{- $mounts = append $mounts (dict "name" "callbacks" "mountPath" .Values.callbacks.path "readOnly" true) -}}
  {{- $volumes = append $volumes (dict "name" "callbacks" "configMap" (dict "name" (printf "%s-callbacks" (include "flow-job.fullname" .)))) -}}
{{- end -}}
metadata:
  labels:
    {{- include "flow-job.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    kubectl.kubernetes.io/default-container: main
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  restartPolicy: {{ .Values.restartPolicy }}
  serviceAccountName: {{ include "flow-job.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automountToken }}
  {{- if not (kindIs "invalid" .Values.terminationGracePeriodSeconds) }}
  terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
  {{- end }}
  {{- range $field := list "imagePullSecrets" "initContainers" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
  {{- with get $.Values $field }}
  {{ $field }}: {{ toJson . }}
  {{- end }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext: {{ toJson . }}
  {{- end }}
  containers:
    - name: main
      image: {{ .Values.image | quote }}
      {{- range $field := list "imagePullPolicy" "command" "args" "env" "envFrom" "workingDir" "resources" "securityContext" }}
      {{- with get $.Values $field }}
      {{ $field }}: {{ toJson . }}
      {{- end }}
      {{- end }}
      {{- with $mounts }}
      volumeMounts: {{ toJson . }}
      {{- end }}
    {{- range .Values.extraContainers }}
    - {{ toJson . }}
    {{- end }}
  {{- with $volumes }}
  volumes: {{ toJson . }}
  {{- end }}
{{- end -}}

{{- /* The same with our containers. onStart and onExit stand at the values' top, the rest below `podhooks`. */ -}}
{{- define "flow-job.template" -}}
{{- $values := deepCopy .Values.podhooks -}}
{{- range $hook := list "onStart" "onExit" -}}
  {{- if and (get $.Values $hook) (get $values $hook) -}}
    {{- fail (printf "%s is there twice: keep it at the top of the values and take it out of podhooks" $hook) -}}
  {{- end -}}
  {{- if get $.Values $hook -}}{{- $_ := set $values $hook (get $.Values $hook) -}}{{- end -}}
{{- end -}}
{{- include "podhooks.inject" (dict "pod" (include "flow-job.pod" . | fromYaml) "values" $values) -}}
{{- end -}}

{{- define "flow-job.jobSpec" -}}
{{- range $field, $value := omit .Values.job "suspend" }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
{{ $field }}: {{ kindIs "string" $value | ternary $value (int $value) }}
{{- end }}
{{- end }}
{{- if .Values.job.suspend }}
suspend: true
{{- end }}
template:
  {{- include "flow-job.template" . | nindent 2 }}
{{- end -}}
