//! Does every name within a Release stand for something, and for one thing only?

use super::DATABASE_CLUSTER;
use crate::{inputs::Inputs, objects::Object, plan::Refusal};
use gotocloud_api::{
    conditions::Reason,
    release::{Component, EnvVar},
};

/// Endings of the names that `CloudNativePG` gives to Services and disruption budgets of its own, after its Cluster's.
const OF_CLOUDNATIVEPG: [&str; 6] = ["", "-any", "-primary", "-r", "-ro", "-rw"];

/// Does every name that refers to another one stand for something?
pub(super) fn hold(inputs: &Inputs<'_>) -> Result<(), Refusal> {
    for component in &inputs.release.spec.components {
        ports_and_peers(inputs, component).map_err(|what| in_release(inputs, component, &what))?;
        component
            .env
            .iter()
            .try_for_each(|variable| source(inputs, variable))
            .map_err(|what| in_release(inputs, component, &what))?;
    }
    inputs.instance.spec.env.iter().try_for_each(|variable| source(inputs, variable)).map_err(|what| {
        Refusal::new(
            Reason::ObjectRefused,
            format!("spec.env of this Instance: {what}; correct or remove the variable"),
        )
    })
}

fn ports_and_peers(inputs: &Inputs<'_>, component: &Component) -> Result<(), String> {
    let components = &inputs.release.spec.components;
    let ports = [
        component.expose.as_ref().map(|expose| &expose.port),
        component.health.as_ref().map(|health| &health.port),
        component.metrics.as_ref().map(|metrics| &metrics.port),
    ];

    let mut ports = ports.into_iter().flatten();
    if let Some(port) = ports.find(|port| component.ports.iter().all(|known| known.name != **port)) {
        return Err(format!("there is no port called {port}"));
    }
    if let Some(peer) = component.talks_to.iter().find(|peer| components.iter().all(|known| known.name != **peer)) {
        return Err(format!("talksTo names {peer}, which is no component"));
    }
    let path = component.expose.as_ref().map(|expose| &expose.path);
    let same_path = |other: &&Component| {
        other.name != component.name && path.is_some() && other.expose.as_ref().map(|expose| &expose.path) == path
    };
    if let (Some(other), Some(path)) = (components.iter().find(same_path), path) {
        return Err(format!("it is exposed at {path}, where {} is too", other.name));
    }
    if component.name == super::MIGRATION {
        return Err("the name is kept for the job that moves the data: give the component another".to_owned());
    }
    if component.name.starts_with(super::rehearsal::PREFIX) {
        return Err("the name is kept for rehearsals: give the component another".to_owned());
    }
    let of_database = |ending: &str| component.name == format!("{DATABASE_CLUSTER}{ending}");
    if inputs.has_database() && OF_CLOUDNATIVEPG.into_iter().any(of_database) {
        return Err("the name is kept for the database: give the component another".to_owned());
    }

    Ok(())
}

fn source(inputs: &Inputs<'_>, variable: &EnvVar) -> Result<(), String> {
    let generated = &inputs.release.spec.generated_secrets;
    match &variable.from_secret {
        Some(secret) if generated.iter().all(|known| known.name != *secret) => {
            Err(format!("{} comes from {secret}, which is no generated secret of the Release", variable.name))
        }
        _ if variable.from_database.is_some() && !inputs.has_database() => {
            Err(format!("{} comes from a database, which the application has not", variable.name))
        }
        _ => Ok(()),
    }
}

/// Does each object have its name for itself? Two that share one would overwrite each other without end.
pub(super) fn no_two_share_a_name(inputs: &Inputs<'_>, sorted: &[Object]) -> Result<(), Refusal> {
    let twice = sorted.windows(2).find_map(|pair| (pair[0].key == pair[1].key).then_some(&pair[0].key));
    twice.map_or(Ok(()), |key| {
        let message = format!(
            "the Release {} asks for two objects {key}: publish a corrected Release, in which no two components have one \
             name and none is called like an object every instance has",
            name(inputs)
        );
        Err(Refusal::new(Reason::ObjectRefused, message))
    })
}

fn in_release(inputs: &Inputs<'_>, component: &Component, what: &str) -> Refusal {
    let message =
        format!("the Release {}, component {}: {what}; publish a corrected Release", name(inputs), component.name);
    Refusal::new(Reason::ObjectRefused, message)
}

fn name<'a>(inputs: &'a Inputs<'_>) -> &'a str {
    inputs.release.metadata.name.as_deref().unwrap_or_default()
}
