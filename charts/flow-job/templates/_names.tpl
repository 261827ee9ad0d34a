{{- define "flow-job.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* 52 characters: a CronJob adds 11, a Job its revision. No dots: an indexed Job's pods have it as their host's name. */ -}}
{{- define "flow-job.fullname" -}}
{{- $name := include "flow-job.name" . -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name $release -}}
{{- $release | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" $release $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* A Job's pods can't be changed, so each revision of the release has a Job of its own. */ -}}
{{- define "flow-job.jobName" -}}
{{- include "flow-job.fullname" . -}}{{- if not .Values.schedule -}}-{{ .Release.Revision }}{{- end -}}
{{- end -}}

{{- define "flow-job.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "flow-job.fullname" .) "default") -}}
{{- end -}}

{{- define "flow-job.selectorLabels" -}}
app.kubernetes.io/name: {{ include "flow-job.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "flow-job.labels" -}}
{{ include "flow-job.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
