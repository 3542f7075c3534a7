//! Which words mark the objects that belong to Go-to-Cloud?

/// The field manager of every write by server-side apply.
pub const FIELD_MANAGER: &str = "gotocloud-operator";
/// The field manager that says how many pods a Deployment has, until an autoscaler does.
pub const REPLICAS_FIELD_MANAGER: &str = "gotocloud-operator-replicas";
/// The finalizer that lets the operator take an instance's workload away before the Instance goes.
pub const FINALIZER: &str = "gotocloud.amue.fr/workload";

/// Label: who made an object. Its value is [`FIELD_MANAGER`].
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label: the component within the instance.
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// Label: the application's name in the catalogue.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Label: the version that runs.
pub const LABEL_VERSION: &str = "app.kubernetes.io/version";
/// Label: name of the Instance that owns an object.
pub const LABEL_INSTANCE: &str = "gotocloud.amue.fr/instance";
/// Label: namespace, in the hub, of the Instance that owns an object.
pub const LABEL_INSTANCE_NAMESPACE: &str = "gotocloud.amue.fr/instance-namespace";
/// Label: the application an instance runs.
pub const LABEL_APPLICATION: &str = "gotocloud.amue.fr/application";
/// Label: the establishment an instance serves.
pub const LABEL_ESTABLISHMENT: &str = "gotocloud.amue.fr/establishment";
/// Label: the platform an instance runs on.
pub const LABEL_PLATFORM: &str = "gotocloud.amue.fr/platform";
/// Label: the grouping through which the establishment joins, if any.
pub const LABEL_GROUPING: &str = "gotocloud.amue.fr/grouping";
/// Label: the cohort of a deployment plan that an instance or an establishment is of, such as `P1`.
pub const LABEL_COHORT: &str = "cohort";
/// Prefix of the labels that name each member an instance serves: `member.gotocloud.amue.fr/NAME: "true"`.
pub const LABEL_MEMBER_PREFIX: &str = "member.gotocloud.amue.fr/";
/// Label on a namespace whose Instance is gone and whose data stays.
pub const LABEL_RETAINED: &str = "gotocloud.amue.fr/retained";
/// Label on a namespace that must not be deleted by hand, watched by a `ValidatingAdmissionPolicy` of the chart.
pub const LABEL_PROTECTED: &str = "gotocloud.amue.fr/deletion-protected";

/// Annotation on an object of somebody else: "take it over", with the Instance it is for, as `NAMESPACE/NAME`.
pub const ANNOTATION_ADOPT: &str = "gotocloud.amue.fr/adopt-by";
/// Annotation on an object of an instance: the fingerprint of the manifest it was last applied from, sixteen hexadecimal
/// digits. It tells a process what another one applied that was killed before it could say so.
pub const ANNOTATION_APPLIED: &str = "gotocloud.amue.fr/applied";
/// Annotation on a retained namespace: when its Instance was deleted, RFC 3339.
pub const ANNOTATION_RETAINED_AT: &str = "gotocloud.amue.fr/retained-at";
/// Annotation on a retained namespace: what data it keeps, as a sentence.
pub const ANNOTATION_RETAINED_DATA: &str = "gotocloud.amue.fr/retained-data";
/// Annotation on a retained namespace: name of the Release that the data it keeps is of.
pub const ANNOTATION_RETAINED_RELEASE: &str = "gotocloud.amue.fr/retained-release";
/// Annotation on a Platform: until when (RFC 3339) the operator may remove more objects at once than its limit.
pub const ANNOTATION_ALLOW_REMOVALS_UNTIL: &str = "gotocloud.amue.fr/allow-removals-until";

/// Annotation on an Instance: when a person took and verified a backup of its database, RFC 3339.
pub const ANNOTATION_BACKED_UP_AT: &str = "gotocloud.amue.fr/backed-up-at";

/// Annotation on an Instance: when a backup of its database was last restored elsewhere and found good, RFC 3339.
pub const ANNOTATION_RESTORE_DRILLED_AT: &str = "gotocloud.amue.fr/restore-drilled-at";

/// Annotation on an Instance: the migration, by the name of its Job, before which a person restored its data.
pub const ANNOTATION_RESTORED: &str = "gotocloud.amue.fr/restored";

/// Annotation on an Instance: the migration, by the name of its Job, that broke off and that a person has run again on the
/// data as it is.
pub const ANNOTATION_GO_ON_WITH: &str = "gotocloud.amue.fr/go-on-with";

/// Annotation on an Instance: the database server, as `HOST:PORT`, to which a person moved its data.
pub const ANNOTATION_DATABASE_MOVED_TO: &str = "gotocloud.amue.fr/database-moved-to";

/// Annotation on an Instance: the uid of the `CloudNativePG` Cluster that is gone, or the oid of the database on a server,
/// in whose place an empty one may be made.
pub const ANNOTATION_NEW_EMPTY_DATABASE: &str = "gotocloud.amue.fr/new-empty-database";

/// The annotations by which persons speak to the operator on objects of its own kinds.
pub const WORDS: [&str; 7] = [
    ANNOTATION_ALLOW_REMOVALS_UNTIL,
    ANNOTATION_BACKED_UP_AT,
    ANNOTATION_RESTORE_DRILLED_AT,
    ANNOTATION_RESTORED,
    ANNOTATION_GO_ON_WITH,
    ANNOTATION_DATABASE_MOVED_TO,
    ANNOTATION_NEW_EMPTY_DATABASE,
];

/// Prefix of the namespace in which an instance's workload lives.
pub const WORKLOAD_NAMESPACE_PREFIX: &str = "gtc-";
/// The longest name an Instance may have: a namespace's 63 characters less [`WORKLOAD_NAMESPACE_PREFIX`].
pub const INSTANCE_NAME_MAX: usize = 63 - WORKLOAD_NAMESPACE_PREFIX.len();

/// The namespace in which the workload of the Instance called `instance` lives.
///
/// ```
/// assert_eq!(gotocloud_api::names::workload_namespace("caplab"), "gtc-caplab");
/// ```
pub fn workload_namespace(instance: &str) -> String {
    format!("{WORKLOAD_NAMESPACE_PREFIX}{instance}")
}
