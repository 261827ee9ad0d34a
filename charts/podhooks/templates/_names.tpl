{{- define "operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* 40 characters: the longest name made of it has 21 more. No dots, which a release may have, but a Service not. */ -}}
{{- define "operator.fullname" -}}
{{- $name := include "operator.name" . -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name $release -}}
{{- $release | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" $release $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "operator.fullname" .) "default") -}}
{{- end -}}

{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "operator.metadata" -}}
name: {{ include "operator.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "operator.labels" . | nindent 2 }}
{{- end -}}

{{- define "operator.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "operator.runtimeImage" -}}
{{- .Values.runtime.image | default (include "operator.image" .) -}}
{{- end -}}

{{- /* operator.objects: what Python code made (make charts), with this release's names, as JSON. */ -}}
{{- define "operator.objects" -}}
{{- .Files.Get "files/objects.json"
    | replace "@NAME@" (include "operator.fullname" .)
    | replace "@ACCOUNT@" (include "operator.serviceAccountName" .)
    | replace "@NAMESPACE@" .Release.Namespace
    | replace "@IMAGE@" (include "operator.runtimeImage" .)
    | replace "@PULL_POLICY@" (.Values.runtime.pullPolicy | default "") -}}
{{- end -}}

{{- /* operator.deployed: "true" where there is a Deployment: for the webhook, the rescuer, or both. */ -}}
{{- define "operator.deployed" -}}
{{- if or (eq .Values.injector "webhook") .Values.rescuer.enabled -}}true{{- end -}}
{{- end -}}

{{- define "operator.scope" -}}
{{- .Values.optIn | ternary "optIn" "all" -}}
{{- end -}}

{{- /* operator.args: the operator's flags. */ -}}
{{- define "operator.args" -}}
{{- $name := include "operator.fullname" . -}}
{{- $certificates := .Values.webhook.certificates -}}
{{- $args := list "--service" $name "--webhook-configuration" $name "--image" (include "operator.runtimeImage" .) "--delivery" .Values.runtime.delivery -}}
{{- if eq $certificates.source "cert-manager" -}}
  {{- $args = concat $args (list "--certificates" "files" "--certificate-directory" "/etc/podhooks/tls") -}}
{{- else -}}
  {{- $args = concat $args (list "--secret" (printf "%s-webhook-certificates" $name)) -}}
  {{- with $certificates.authorityLifetime -}}{{- $args = concat $args (list "--authority-lifetime" .) -}}{{- end -}}
  {{- with $certificates.certificateLifetime -}}{{- $args = concat $args (list "--certificate-lifetime" .) -}}{{- end -}}
  {{- with $certificates.publishDelay -}}{{- $args = concat $args (list "--publish-delay" .) -}}{{- end -}}
{{- end -}}
{{- with $certificates.checkInterval -}}{{- $args = concat $args (list "--check-interval" .) -}}{{- end -}}
{{- with .Values.runtime.pullPolicy -}}{{- $args = concat $args (list "--pull-policy" .) -}}{{- end -}}
{{- with .Values.kubernetes -}}{{- $args = concat $args (list "--kubernetes" .) -}}{{- end -}}
{{- if .Values.webhook.failOnInvalid -}}{{- $args = append $args "--fail-on-invalid" -}}{{- end -}}
{{- if ne .Values.injector "webhook" -}}{{- $args = concat $args (list "--webhook" "false") -}}{{- end -}}
{{- with .Values.rescuer -}}
  {{- if .enabled -}}
    {{- $args = concat $args (list "--rescuer" "--lease" (printf "%s-rescuer" $name)) -}}
    {{- range .namespaces -}}{{- $args = concat $args (list "--rescue-namespace" .) -}}{{- end -}}
    {{- with .hold -}}{{- $args = concat $args (list "--hold" .) -}}{{- end -}}
    {{- with .deadline -}}{{- $args = concat $args (list "--rescue-deadline" .) -}}{{- end -}}
    {{- with .atOnce -}}{{- $args = concat $args (list "--rescues-at-once" (toString (int .))) -}}{{- end -}}
    {{- with .keep -}}{{- $args = concat $args (list "--keep-rescues" .) -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- range $key, $text := .Values.annotations -}}
  {{- $args = concat $args (list "--annotation" (printf "%s=%s" $key $text)) -}}
{{- end -}}
{{- concat $args (.Values.extraArgs | default list) | toRawJson -}}
{{- end -}}
