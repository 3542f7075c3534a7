//! How an instance is reached from outside: a route by the platform's Gateway or Ingress, with a certificate of its own.

use super::{object, owner_labels};
use crate::{
    inputs::Inputs,
    objects::{Kind, Object},
};
use gotocloud_api::{instance::Endpoint, platform::GatewayReference, release::Expose};
use serde_json::{Value, json};

const NAME: &str = "public";
const TLS_SECRET: &str = "public-tls";

pub(super) fn render(inputs: &Inputs<'_>) -> Vec<Object> {
    if exposed(inputs).next().is_none() {
        return Vec::new();
    }
    let labels = owner_labels(inputs.instance);
    let platform = &inputs.platform.spec;
    let mut objects = Vec::new();
    if let Some(issuer) = &platform.certificate_issuer {
        let fields = json!({"spec": {
            "secretName": TLS_SECRET,
            "dnsNames": [inputs.host],
            "issuerRef": {"group": Kind::Certificate.group(), "kind": format!("{:?}", issuer.kind), "name": issuer.name},
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        }});
        objects.push(object(inputs, Kind::Certificate, NAME, &labels, fields));
    }
    if let Some(gateway) = &platform.exposure.gateway {
        objects.extend(by_gateway(inputs, gateway));
    } else if let Some(controller) = &platform.exposure.ingress {
        objects.push(by_ingress(inputs, &controller.class_name));
    }
    objects
}

/// Where the instance is reached: an address for each exposed component.
pub fn endpoints(inputs: &Inputs<'_>) -> Vec<Endpoint> {
    let url = |path: &str| format!("{}{}", inputs.url(), if path == "/" { "" } else { path });
    exposed(inputs)
        .map(|(component, expose)| Endpoint { component: component.to_owned(), url: url(&expose.path) })
        .collect()
}

fn exposed<'a>(inputs: &'a Inputs<'_>) -> impl Iterator<Item = (&'a str, &'a Expose)> {
    let components = inputs.release.spec.components.iter();
    components.filter_map(|component| Some((component.name.as_str(), component.expose.as_ref()?)))
}

fn port_number(inputs: &Inputs<'_>, component: &str, port: &str) -> Option<u16> {
    let component = inputs.release.spec.components.iter().find(|one| one.name == component)?;
    component.ports.iter().find(|one| one.name == port).map(|one| one.port)
}

/// With a certificate of its own, the instance brings its listener to the Gateway; without, it uses the Gateway's.
fn by_gateway(inputs: &Inputs<'_>, gateway: &GatewayReference) -> Vec<Object> {
    let labels = owner_labels(inputs.instance);
    let mut objects = Vec::new();
    let parent = if inputs.platform.spec.certificate_issuer.is_some() {
        let fields = json!({"spec": {
            "parentRef": {"group": Kind::HttpRoute.group(), "kind": "Gateway", "namespace": gateway.namespace, "name": gateway.name},
            "listeners": [{
                "name": "https", "hostname": inputs.host, "port": 443, "protocol": "HTTPS",
                "tls": {"mode": "Terminate", "certificateRefs": [{"group": "", "kind": "Secret", "name": TLS_SECRET}]},
            }],
        }});
        objects.push(object(inputs, Kind::ListenerSet, NAME, &labels, fields));
        json!({"group": Kind::ListenerSet.group(), "kind": "ListenerSet", "name": NAME})
    } else {
        let mut parent = json!({"group": Kind::HttpRoute.group(), "kind": "Gateway", "namespace": gateway.namespace, "name": gateway.name});
        if let Some(section) = &gateway.section_name {
            parent["sectionName"] = json!(section);
        }
        parent
    };

    let rules: Vec<Value> = exposed(inputs)
        .map(|(component, expose)| {
            json!({
                "matches": [{"path": {"type": "PathPrefix", "value": expose.path}}],
                "backendRefs": [{"group": "", "kind": "Service", "name": component, "weight": 1,
                                 "port": port_number(inputs, component, &expose.port)}],
            })
        })
        .collect();

    let fields = json!({"spec": {"parentRefs": [parent], "hostnames": [inputs.host], "rules": rules}});
    objects.push(object(inputs, Kind::HttpRoute, NAME, &labels, fields));
    objects
}

fn by_ingress(inputs: &Inputs<'_>, class: &str) -> Object {
    let paths: Vec<Value> = exposed(inputs)
        .map(|(component, expose)| {
            json!({"path": expose.path, "pathType": "Prefix",
                   "backend": {"service": {"name": component, "port": {"name": expose.port}}}})
        })
        .collect();
    let mut spec = json!({
        "ingressClassName": class,
        "rules": [{"host": inputs.host, "http": {"paths": paths}}],
    });
    if inputs.platform.spec.certificate_issuer.is_some() {
        spec["tls"] = json!([{"hosts": [inputs.host], "secretName": TLS_SECRET}]);
    }
    object(inputs, Kind::Ingress, NAME, &owner_labels(inputs.instance), json!({ "spec": spec }))
}
