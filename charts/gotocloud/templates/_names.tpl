{{- /* What is everything called, and how is it labelled?

What is of the whole cluster (definitions, policies, cluster roles and their bindings) is called gotocloud-… whatever the
release is called: there is one of it, so there is one installation, and Helm refuses a second before it makes anything. */ -}}

{{- define "gotocloud.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "gotocloud.fullname" -}}
{{- $name := include "gotocloud.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gotocloud.operator" -}}
{{- printf "%s-operator" (include "gotocloud.fullname" .) -}}
{{- end -}}

{{- define "gotocloud.serviceAccount" -}}
{{- default (include "gotocloud.operator" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- /* The ClusterRole the operator binds to itself in each namespace it makes. */ -}}
{{- define "gotocloud.instanceRole" -}}
gotocloud-instance
{{- end -}}

{{- /* How the API server sees the operator. */ -}}
{{- define "gotocloud.username" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "gotocloud.serviceAccount" .) -}}
{{- end -}}

{{- define "gotocloud.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gotocloud.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "gotocloud.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "gotocloud.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: gotocloud
{{- end -}}

{{- define "gotocloud.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}
