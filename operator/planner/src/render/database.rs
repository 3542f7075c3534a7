//! Where an instance's data lives: a `CloudNativePG` Cluster of its own, or a database on a server that is there.

use super::{object, owner_labels};
use crate::{
    inputs::Inputs,
    objects::{Kind, Object},
    plan::DatabaseRequest,
    secrets::SecretRequest,
    snapshot::OperatorIdentity,
};
use gotocloud_api::{
    names,
    platform::{CloudNativePg, DatabaseServer},
    release::DatabaseField,
};
use serde_json::{Value, json};

/// Name of the `CloudNativePG` Cluster of an instance.
pub const CLUSTER: &str = "database";
/// Name of the Secret with the credentials: the one `CloudNativePG` makes, made by the operator otherwise.
pub const SECRET: &str = "database-app";
/// Name of the Secret with a `CloudNativePG` Cluster's certificate authority.
const CLUSTER_CA_SECRET: &str = "database-ca";
/// Letters and digits of a database password: over 200 bits.
const PASSWORD_LENGTH: usize = 36;

#[derive(Default)]
pub(super) struct Database {
    pub cluster: Option<Object>,
    pub secret: Option<SecretRequest>,
    pub request: Option<DatabaseRequest>,
}

pub(super) fn render(inputs: &Inputs<'_>, operator: &OperatorIdentity) -> Database {
    let platform = &inputs.platform.spec.database;
    match (&platform.cloud_native_pg, &platform.server) {
        _ if !inputs.has_database() => Database::default(),
        (Some(cnpg), _) => Database { cluster: Some(cluster(inputs, cnpg)), ..Database::default() },
        (None, Some(server)) => on_server(inputs, server, operator),
        (None, None) => Database::default(),
    }
}

/// Name of the Secret that holds a field of the instance's database.
pub(super) fn secret_of(inputs: &Inputs<'_>, field: DatabaseField) -> &'static str {
    match field {
        DatabaseField::CaCertificate if inputs.platform.spec.database.cloud_native_pg.is_some() => CLUSTER_CA_SECRET,
        DatabaseField::CaCertificate
        | DatabaseField::Host
        | DatabaseField::Port
        | DatabaseField::Name
        | DatabaseField::User
        | DatabaseField::Password
        | DatabaseField::Uri => SECRET,
    }
}

/// Name of the Secret that holds a field of a `CloudNativePG` Cluster's database.
pub(super) fn secret_of_cluster(cluster: &str, field: DatabaseField) -> String {
    match field {
        DatabaseField::CaCertificate => format!("{cluster}-ca"),
        DatabaseField::Host
        | DatabaseField::Port
        | DatabaseField::Name
        | DatabaseField::User
        | DatabaseField::Password
        | DatabaseField::Uri => format!("{cluster}-app"),
    }
}

/// Name of an instance's database and of its role: the Instance's name, as an SQL identifier.
pub fn identifier(instance: &str) -> String {
    instance.replace('-', "_")
}

fn cluster(inputs: &Inputs<'_>, cnpg: &CloudNativePg) -> Object {
    let servers = inputs.application.spec.stages.of(inputs.instance.spec.stage).database_instances;
    let name = identifier(inputs.name());
    let bootstrap = json!({"initdb": {"database": name, "owner": name}});
    object(inputs, Kind::Cluster, CLUSTER, &owner_labels(inputs.instance), fields(inputs, cnpg, servers, &bootstrap))
}

/// A Cluster of one server, called `copy`, that begins as the Backup of that name left the instance's own.
pub(super) fn copy(inputs: &Inputs<'_>, cnpg: &CloudNativePg, copy: &str, backup: &str) -> Object {
    let name = identifier(inputs.name());
    let bootstrap = json!({"recovery": {"backup": {"name": backup}, "database": name, "owner": name}});
    object(inputs, Kind::Cluster, copy, &owner_labels(inputs.instance), fields(inputs, cnpg, 1, &bootstrap))
}

fn fields(inputs: &Inputs<'_>, cnpg: &CloudNativePg, servers: u32, bootstrap: &Value) -> Value {
    let size = &inputs.application.spec.sizes.of(inputs.size).database;
    let mut storage = json!({"size": inputs.instance.spec.database_storage.as_ref().unwrap_or(&size.storage)});
    if let Some(class) = &inputs.platform.spec.storage_class {
        storage["storageClass"] = json!(class);
    }
    json!({"spec": {
        "instances": servers,
        "imageName": cnpg.image_name,
        "storage": storage,
        "resources": {"requests": {"cpu": size.cpu, "memory": size.memory}, "limits": {"memory": size.memory}},
        "bootstrap": bootstrap,
        "enableSuperuserAccess": false,
        "affinity": {"enablePodAntiAffinity": true, "topologyKey": "kubernetes.io/hostname"},
        // Not the labels of the owner: what CloudNativePG makes would then be taken for the operator's, and removed.
        "inheritedMetadata": {"labels": {
            names::LABEL_APPLICATION: inputs.instance.spec.application,
            names::LABEL_ESTABLISHMENT: inputs.instance.spec.establishment,
        }},
    }})
}

fn on_server(inputs: &Inputs<'_>, server: &DatabaseServer, operator: &OperatorIdentity) -> Database {
    let name = identifier(inputs.name());
    let object = object(
        inputs,
        Kind::Secret,
        SECRET,
        &owner_labels(inputs.instance),
        json!({"type": "kubernetes.io/basic-auth"}),
    );
    let host_in_uri = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
    let templates = [
        ("username", name.clone()),
        ("dbname", name.clone()),
        ("host", server.host.clone()),
        ("port", server.port.to_string()),
        ("ca.crt", server.ca_certificate.clone()),
        ("uri", format!("postgresql://{name}:{{password}}@{host_in_uri}:{}/{name}?sslmode=verify-full", server.port)),
    ];
    let secret = SecretRequest {
        object,
        generated: [("password".to_owned(), PASSWORD_LENGTH)].into(),
        templates: templates.map(|(key, value)| (key.to_owned(), value)).into(),
    };
    let request = DatabaseRequest::on(server, inputs.instance, operator, &name, SECRET);
    Database { secret: Some(secret), request: Some(request), cluster: None }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_identifier_needs_no_quotes() {
        assert_eq!(super::identifier("app-cote-azur"), "app_cote_azur");
    }
}
