{{- /* podhooks.container: `on-start` or `on-exit` (name) of a case, as JSON: main's image, environment, volumes and identity around our command. */ -}}
{{- define "podhooks.container" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $container := dict "name" .name -}}
{{- if ne .image "main" -}}
  {{- $_ := set $container "image" .image -}}
{{- else -}}
  {{- range $key := list "image" "imagePullPolicy" -}}
    {{- if get $.main $key -}}{{- $_ := set $container $key (get $.main $key) -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- if and (eq .name "on-exit") (eq .mode "native") -}}
  {{- $_ := set $container "restartPolicy" "Always" -}}
{{- end -}}
{{- range $key := $contract.inherited -}}
  {{- if get $.main $key -}}{{- $_ := set $container $key (get $.main $key) -}}{{- end -}}
{{- end -}}
{{- $interpreter := .bundled | ternary $contract.bundledInterpreter (list .python) -}}
{{- if eq .delivery "installed" -}}
  {{- $_ := set $container "command" (concat $interpreter (list "-m" (get $contract.programs .name))) -}}
{{- else -}}
  {{- $_ := set $container "command" (concat $interpreter (list "-S" (get $contract.scripts .name))) -}}
{{- end -}}
{{- $_ := set $container "env" (include "podhooks.env" . | fromJsonArray) -}}
{{- $_ := set $container "volumeMounts" (include "podhooks.volumeMounts" . | fromJsonArray) -}}
{{- merge $container (include "podhooks.common" . | fromJson) | toRawJson -}}
{{- end -}}

{{- /* podhooks.runtimeContainer: copies the runtime from our image, with delivery `copy`. */ -}}
{{- define "podhooks.runtimeContainer" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $command := .bundled | ternary (append $contract.copyCommand $contract.bundledDir) $contract.copyCommand -}}
{{- $container := dict "name" $contract.runtimeContainer "image" .runtimeImage "command" $command -}}
{{- $_ := set $container "volumeMounts" (list (omit $contract.runtimeMount "readOnly")) -}}
{{- with .pullPolicy -}}{{- $_ := set $container "imagePullPolicy" . -}}{{- end -}}
{{- merge $container (include "podhooks.common" . | fromJson) | toRawJson -}}
{{- end -}}

{{- define "podhooks.common" -}}
{{- dict
      "resources" .resources
      "securityContext" (include "podhooks.securityContext" (.main.securityContext | default dict) | fromJson)
      "terminationMessagePolicy" "File"
    | toRawJson -}}
{{- end -}}

{{- define "podhooks.env" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $bundled := .bundled | ternary $contract.bundledEnv list -}}
{{- $dropped := $contract.ourEnv -}}
{{- range $bundled -}}{{- $dropped = append $dropped .name -}}{{- end -}}
{{- $env := list -}}
{{- $names := list -}}
{{- range .main.env -}}
  {{- if or (not (has .name $dropped)) (eq (toRawJson .) (toRawJson $contract.sharedEnv)) -}}
    {{- $env = append $env (include "podhooks.envOfMain" (dict "entry" . "main" $.main.name) | fromJson) -}}
    {{- $names = append $names .name -}}
  {{- end -}}
{{- end -}}
{{- range $contract.defaultEnv -}}
  {{- if not (has .name $names) -}}{{- $env = append $env . -}}{{- end -}}
{{- end -}}
{{- $env = concat $env $bundled -}}
{{- $values := list .mainLabel .mode (toString (int .graceSeconds)) -}}
{{- range $index, $name := $contract.variableEnv -}}
  {{- $env = append $env (dict "name" $name "value" (index $values $index)) -}}
{{- end -}}
{{- range $contract.constantEnv -}}
  {{- if not (has . $env) -}}{{- $env = append $env . -}}{{- end -}}
{{- end -}}
{{- toRawJson $env -}}
{{- end -}}

{{- /* podhooks.envOfMain: an entry of main's environment; a container's own requests and limits are main's in ours, too. */ -}}
{{- define "podhooks.envOfMain" -}}
{{- $entry := .entry -}}
{{- $reference := ($entry.valueFrom | default dict).resourceFieldRef | default dict -}}
{{- if and $reference (not $reference.containerName) -}}
  {{- $source := merge (dict "resourceFieldRef" (merge (dict "containerName" .main) $reference)) $entry.valueFrom -}}
  {{- $entry = merge (dict "valueFrom" $source) $entry -}}
{{- end -}}
{{- toRawJson $entry -}}
{{- end -}}

{{- /* Bidirectional propagation is for privileged containers only, which ours never are. */ -}}
{{- define "podhooks.volumeMounts" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $mounts := list -}}
{{- range .main.volumeMounts -}}
  {{- $mount := . -}}
  {{- if eq (.mountPropagation | default "") "Bidirectional" -}}
    {{- $mount = merge (dict "mountPropagation" "HostToContainer") . -}}
  {{- end -}}
  {{- if not (include "podhooks.isSharedMount" .) -}}
    {{- $mounts = append $mounts $mount -}}
  {{- end -}}
{{- end -}}
{{- $mounts = concat $mounts (list $contract.sharedMount $contract.podinfoMount) -}}
{{- if ne .delivery "installed" -}}
  {{- $mounts = append $mounts $contract.runtimeMount -}}
{{- end -}}
{{- toRawJson $mounts -}}
{{- end -}}

{{- /* podhooks.securityContext: main's, without what Pod Security "restricted" doesn't allow, and with what it asks for. */ -}}
{{- define "podhooks.securityContext" -}}
{{- $kept := omit . "privileged" "procMount" "capabilities" -}}
{{- if eq (($kept.appArmorProfile | default dict).type | default "") "Unconfined" -}}
  {{- $kept = omit $kept "appArmorProfile" -}}
{{- end -}}
{{- if or (not $kept.seccompProfile) (eq (($kept.seccompProfile | default dict).type | default "") "Unconfined") -}}
  {{- $_ := set $kept "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- end -}}
{{- $_ := set $kept "allowPrivilegeEscalation" false -}}
{{- $_ := set $kept "capabilities" (dict "drop" (list "ALL")) -}}
{{- toRawJson $kept -}}
{{- end -}}

{{- define "podhooks.volumes" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $volumes := $contract.volumes -}}
{{- if eq .delivery "image" -}}
  {{- $source := dict "reference" .runtimeImage -}}
  {{- with .pullPolicy -}}{{- $_ := set $source "pullPolicy" . -}}{{- end -}}
  {{- $volumes = append $volumes (dict "name" $contract.runtimeMount.name "image" $source) -}}
{{- else if eq .delivery "copy" -}}
  {{- $volumes = append $volumes (dict "name" $contract.runtimeMount.name "emptyDir" dict) -}}
{{- end -}}
{{- toRawJson $volumes -}}
{{- end -}}
