//! Can the quota of a size class hold all that a release asks for in that size and stage?

use crate::{inputs::Inputs, plan::Refusal};
use gotocloud_api::{Quantity, SizeClass, conditions::Reason};

/// What an instance may ask for at most: processors, memory and storage in thousandths, and pods.
#[derive(Default)]
struct Needs {
    cpu: u128,
    memory: u128,
    storage: u128,
    pods: u128,
}

impl Needs {
    fn add(&mut self, pods: u32, cpu: &Quantity, memory: &Quantity, storage: Option<&Quantity>) {
        let pods = u128::from(pods);
        // What is no quantity is for the API server to refuse: its message says why.
        let all = |quantity: &Quantity| quantity.thousandths().unwrap_or_default().saturating_mul(pods);
        self.cpu = self.cpu.saturating_add(all(cpu));
        self.memory = self.memory.saturating_add(all(memory));
        self.storage = self.storage.saturating_add(storage.map(all).unwrap_or_default());
        self.pods = self.pods.saturating_add(pods);
    }
}

/// Does the quota hold all pods under the highest load, with one more of each component for a rolling update?
pub(crate) fn holds(inputs: &Inputs<'_>) -> Result<(), Refusal> {
    let profile = inputs.application.spec.sizes.of(inputs.size);
    let (quota, needs) = (&profile.quota, needs(inputs));
    let limit = |quantity: &Quantity| quantity.thousandths().unwrap_or_default();
    let mebibytes = |thousandths: u128| format!("{}Mi", thousandths.div_ceil(1_000 << 20));
    let bounds = [
        ("cpu", limit(&quota.cpu), quota.cpu.to_string(), needs.cpu, format!("{}m", needs.cpu)),
        ("memory", limit(&quota.memory), quota.memory.to_string(), needs.memory, mebibytes(needs.memory)),
        ("storage", limit(&quota.storage), quota.storage.to_string(), needs.storage, mebibytes(needs.storage)),
        ("pods", quota.pods.into(), quota.pods.to_string(), needs.pods, needs.pods.to_string()),
    ];
    let Some((what, _, limit, _, needed)) = bounds.into_iter().find(|(_, limit, _, needed, _)| needed > limit) else {
        return Ok(());
    };
    Err(Refusal::new(
        Reason::QuotaTooSmall,
        format!(
            "the quota of size {} allows {limit} of {what}, but {} needs {needed} in stage {}, under its highest load and \
             while it is updated: raise sizes.{}.quota.{what} of the Application {}",
            inputs.size,
            inputs.release.spec.version,
            inputs.instance.spec.stage,
            field(inputs.size),
            inputs.instance.spec.application
        ),
    ))
}

fn needs(inputs: &Inputs<'_>) -> Needs {
    let mut needs = Needs::default();
    for component in &inputs.release.spec.components {
        let (size, replicas) = inputs.component_size(&component.name);
        let most = component.autoscaling.as_ref().map_or(1, |scaling| scaling.max_replicas_factor.max(1));
        needs.add(replicas.saturating_mul(most).saturating_add(1), &size.cpu, &size.memory, None);
    }
    if inputs.has_database() && inputs.platform.spec.database.cloud_native_pg.is_some() {
        let database = &inputs.application.spec.sizes.of(inputs.size).database;
        let servers = inputs.application.spec.stages.of(inputs.instance.spec.stage).database_instances;
        let storage = inputs.instance.spec.database_storage.as_ref().unwrap_or(&database.storage);
        needs.add(servers, &database.cpu, &database.memory, Some(storage));
    }
    needs
}

/// The field of an Application's size table.
fn field(size: SizeClass) -> &'static str {
    match size {
        SizeClass::VerySmall => "verySmall",
        SizeClass::Small => "small",
        SizeClass::Medium => "medium",
        SizeClass::Large => "large",
        SizeClass::VeryLarge => "veryLarge",
    }
}
