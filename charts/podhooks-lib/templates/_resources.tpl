{{- /*
podhooks.resources: requests and limits of our containers, always both, as JSON. The argument is the annotation's text. A
default never contradicts what is given: it is moved to it.
*/ -}}
{{- define "podhooks.resources" -}}
{{- $contract := include "podhooks.contract" . | fromJson -}}
{{- $given := dict -}}
{{- if . -}}
  {{- $given = (include "podhooks.parsed" (dict "where" $contract.names.resources "text" .) | fromJson).value -}}
  {{- if or (not (kindIs "map" $given)) (omit ($given | default dict) "requests" "limits") -}}
    {{- fail (printf "%s: isn't a mapping of requests and limits: write {\"requests\": {\"cpu\": \"10m\"}, \"limits\": {\"memory\": \"64Mi\"}}" $contract.names.resources) -}}
  {{- end -}}
{{- end -}}
{{- $ownRequests := $given.requests | default dict -}}
{{- $ownLimits := $given.limits | default dict -}}
{{- $requests := deepCopy $ownRequests -}}
{{- $limits := deepCopy $ownLimits -}}
{{- range $name, $amount := $contract.defaultResources.requests -}}
  {{- if not (hasKey $requests $name) -}}{{- $_ := set $requests $name $amount -}}{{- end -}}
{{- end -}}
{{- range $name, $amount := $contract.defaultResources.limits -}}
  {{- if not (hasKey $limits $name) -}}{{- $_ := set $limits $name $amount -}}{{- end -}}
{{- end -}}
{{- range $name := concat (keys $requests) (keys $limits) | uniq -}}
  {{- $above := false -}}
  {{- if and (hasKey $requests $name) (hasKey $limits $name) -}}
    {{- $above = gt (include "podhooks.quantity" (get $requests $name) | float64) (include "podhooks.quantity" (get $limits $name) | float64) -}}
  {{- end -}}
  {{- if or (not (hasKey $requests $name)) (and $above (not (hasKey $ownRequests $name))) -}}
    {{- $_ := set $requests $name (get $limits $name) -}}
  {{- else if or (not (hasKey $limits $name)) (and $above (not (hasKey $ownLimits $name))) -}}
    {{- $_ := set $limits $name (get $requests $name) -}}
  {{- end -}}
{{- end -}}
{{- dict "requests" $requests "limits" $limits | toRawJson -}}
{{- end -}}

{{- /* podhooks.quantity: the number that a quantity stands for (100m, 1.5Gi, 2e3). */ -}}
{{- define "podhooks.quantity" -}}
{{- $text := toString . -}}
{{- if not (regexMatch "^[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?$" $text) -}}
  {{- fail (printf "podhooks.io/resources: %q isn't a quantity: write one like 100m or 256Mi" $text) -}}
{{- end -}}
{{- $units := dict "" 1.0 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 -}}
{{- $binary := dict "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 -}}
{{- $unit := regexFind "([numkMGTPE]|[KMGTPE]i)$" $text -}}
{{- mulf (trimSuffix $unit $text | float64) (get (merge $units $binary) $unit) -}}
{{- end -}}
