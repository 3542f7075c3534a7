// Where the CRDs of the optional APIs are read from: nothing is built here, the YAML stands in the module cache.
module gotocloud.amue.fr/tools/crds

go 1.26

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/cloudnative-pg/cloudnative-pg v1.28.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
	sigs.k8s.io/gateway-api v1.6.0
)
