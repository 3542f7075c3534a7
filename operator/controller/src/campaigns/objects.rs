//! Which objects is a campaign seen against?

use super::Known;
use crate::{
    catalogue::{Catalogue, reference},
    children::InstanceRef,
};
use gotocloud_api::{Application, Approval, Campaign, ChangeFreezeSpec, Deferral, Establishment, Instance, Release};
use gotocloud_planner::{campaign::Objects, path::Graph};
use kube::runtime::reflector::ObjectRef;
use std::{collections::BTreeMap, sync::Arc};

impl Objects for Catalogue {
    fn application(&self, name: &str) -> Option<Arc<Application>> {
        self.applications.get(&ObjectRef::new(name))
    }

    fn release(&self, name: &str) -> Option<Arc<Release>> {
        self.releases.get(&ObjectRef::new(name))
    }

    fn graph(&self, application: &str) -> Graph {
        self.graph(application)
    }

    fn freezes(&self) -> Vec<(String, ChangeFreezeSpec)> {
        self.freezes()
    }

    fn campaigns(&self) -> Vec<Arc<Campaign>> {
        Catalogue::campaigns(self)
    }

    fn campaign(&self, name: &str) -> Option<Arc<Campaign>> {
        Catalogue::campaign(self, name)
    }

    fn approvals(&self) -> Vec<Arc<Approval>> {
        self.approvals.state()
    }

    fn deferrals(&self) -> Vec<Arc<Deferral>> {
        self.deferrals.state()
    }

    fn establishments(&self) -> Vec<Arc<Establishment>> {
        self.establishments.state()
    }

    fn establishment(&self, name: &str) -> Option<Arc<Establishment>> {
        self.establishments.get(&ObjectRef::new(name))
    }

    fn instances(&self) -> Vec<Arc<Instance>> {
        self.instances.state()
    }

    fn instance(&self, namespace: &str, name: &str) -> Option<Arc<Instance>> {
        self.instance(&InstanceRef::new(namespace, name))
    }

    fn running_beside(&self, instance: &Instance) -> BTreeMap<String, String> {
        self.running_beside(instance)
    }
}

/// What campaigns know: the catalogue, with what was written and the watch does not show yet.
impl Objects for Known {
    fn application(&self, name: &str) -> Option<Arc<Application>> {
        Objects::application(&*self.catalogue, name)
    }

    fn release(&self, name: &str) -> Option<Arc<Release>> {
        Objects::release(&*self.catalogue, name)
    }

    fn graph(&self, application: &str) -> Graph {
        Objects::graph(&*self.catalogue, application)
    }

    fn freezes(&self) -> Vec<(String, ChangeFreezeSpec)> {
        Objects::freezes(&*self.catalogue)
    }

    fn campaigns(&self) -> Vec<Arc<Campaign>> {
        Objects::campaigns(&*self.catalogue)
    }

    fn campaign(&self, name: &str) -> Option<Arc<Campaign>> {
        Objects::campaign(&*self.catalogue, name)
    }

    fn approvals(&self) -> Vec<Arc<Approval>> {
        Objects::approvals(&*self.catalogue)
    }

    fn deferrals(&self) -> Vec<Arc<Deferral>> {
        Objects::deferrals(&*self.catalogue)
    }

    fn establishments(&self) -> Vec<Arc<Establishment>> {
        Objects::establishments(&*self.catalogue)
    }

    fn establishment(&self, name: &str) -> Option<Arc<Establishment>> {
        Objects::establishment(&*self.catalogue, name)
    }

    fn instances(&self) -> Vec<Arc<Instance>> {
        let watched = Objects::instances(&*self.catalogue);
        watched.into_iter().map(|one| self.context.latest(&reference(&one), one)).collect()
    }

    fn instance(&self, namespace: &str, name: &str) -> Option<Arc<Instance>> {
        let watched = Objects::instance(&*self.catalogue, namespace, name)?;
        Some(self.context.latest(&InstanceRef::new(namespace, name), watched))
    }

    fn running_beside(&self, instance: &Instance) -> BTreeMap<String, String> {
        Objects::running_beside(&*self.catalogue, instance)
    }
}
