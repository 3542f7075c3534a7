//! What may the operator do? No more than it needs: not everything, not everywhere, and no Secret but where it must.

#![allow(clippy::unwrap_used)] // a test stops where something is not as it must be

use gotocloud_chart_tests::{NAMESPACE, everything, objects, text, texts};
use gotocloud_planner::Kind;
use serde_json::Value;

const OPERATOR: &str = "gotocloud-operator";
const INSTANCE: &str = "gotocloud-instance";

fn rendered() -> Vec<Vec<Value>> {
    vec![objects(&[]).unwrap(), objects(&["--values", &everything().to_string_lossy()]).unwrap()]
}

fn of_kind<'a>(objects: &'a [Value], kinds: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| kinds.contains(&text(object, "/kind")))
}

fn rules(role: &Value) -> &[Value] {
    role["rules"].as_array().map_or(&[], Vec::as_slice)
}

fn role<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    of_kind(objects, &["ClusterRole", "Role"])
        .find(|role| text(role, "/kind") == kind && text(role, "/metadata/name") == name)
        .unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// Does `role` allow `verb` on every object of that resource?
fn allows(role: &Value, group: &str, resource: &str, verb: &str) -> bool {
    rules(role).iter().any(|rule| {
        rule.get("resourceNames").is_none()
            && texts(rule, "/apiGroups").contains(&group)
            && texts(rule, "/resources").contains(&resource)
            && texts(rule, "/verbs").contains(&verb)
    })
}

#[test]
fn no_rule_has_a_wildcard() {
    for objects in rendered() {
        for role in of_kind(&objects, &["ClusterRole", "Role"]) {
            for rule in rules(role) {
                for list in ["/apiGroups", "/resources", "/verbs", "/resourceNames"] {
                    assert!(!texts(rule, list).iter().any(|word| word.contains('*')), "{rule}");
                }
            }
        }
    }
}

#[test]
fn no_rule_lets_anybody_become_more_than_it_is() {
    for objects in rendered() {
        for role in of_kind(&objects, &["ClusterRole", "Role"]) {
            for rule in rules(role) {
                let verbs = texts(rule, "/verbs");
                assert!(!verbs.contains(&"escalate") && !verbs.contains(&"impersonate"), "{rule}");
                let names = texts(rule, "/resourceNames");
                assert!(!verbs.contains(&"bind") || (names.len() == 1 && names[0].ends_with("-instance")), "{rule}");
                let resources = texts(rule, "/resources");
                for forbidden in ["pods/exec", "serviceaccounts/token", "nodes", "nodes/proxy", "clusterrolebindings"] {
                    assert!(!resources.contains(&forbidden), "{rule}");
                }
            }
        }
    }
}

#[test]
fn secrets_are_within_reach_only_where_they_must_be() {
    for objects in rendered() {
        for role in of_kind(&objects, &["ClusterRole", "Role"]) {
            let reaches = rules(role).iter().any(|rule| texts(rule, "/resources").contains(&"secrets"));
            let name = text(role, "/metadata/name");
            let may = match text(role, "/kind") {
                "Role" => text(role, "/metadata/namespace") == NAMESPACE,
                _ => name.ends_with("-instance"),
            };
            assert!(!reaches || may, "{name} reaches Secrets");
        }
        for binding in of_kind(&objects, &["ClusterRoleBinding", "RoleBinding"]) {
            assert!(!text(binding, "/roleRef/name").ends_with("-instance"), "{binding}");
        }
    }
}

#[test]
fn the_secrets_of_its_namespace_can_be_narrowed_to_those_of_the_platforms() {
    let objects = objects(&["--set", "rbac.adminSecretNames={paris}"]).unwrap();
    let role = role(&objects, "Role", OPERATOR);
    let found = rules(role).iter().find(|rule| texts(rule, "/resources") == ["secrets"]).unwrap();
    assert_eq!(texts(found, "/verbs"), ["get"]);
    assert_eq!(texts(found, "/resourceNames"), ["paris"]);
}

#[test]
fn everywhere_it_may_watch_what_it_makes_and_write_nothing_but_namespaces_and_bindings() {
    let objects = objects(&[]).unwrap();
    let role = role(&objects, "ClusterRole", OPERATOR);
    for kind in Kind::ALL {
        for verb in ["list", "watch"] {
            assert_eq!(allows(role, kind.group(), kind.plural(), verb), kind.is_watched(), "{verb} {kind}");
        }
        for verb in ["create", "patch"] {
            let may = matches!(kind, Kind::Namespace | Kind::RoleBinding);
            assert_eq!(allows(role, kind.group(), kind.plural(), verb), may, "{verb} {kind}");
        }
        for verb in ["update", "deletecollection"] {
            assert!(!allows(role, kind.group(), kind.plural(), verb), "{verb} {kind}");
        }
        assert_eq!(allows(role, kind.group(), kind.plural(), "delete"), kind == Kind::Namespace, "delete {kind}");
    }
}

#[test]
fn it_may_write_the_status_of_each_of_its_own_kinds_and_say_nothing_in_a_persons_place() {
    let objects = objects(&[]).unwrap();
    let role = role(&objects, "ClusterRole", OPERATOR);
    for definition in gotocloud_api::definitions() {
        let plural = definition.spec.names.plural;
        assert!(allows(role, gotocloud_api::GROUP, &format!("{plural}/status"), "patch"), "{plural}");
        for verb in ["create", "update", "patch", "delete"] {
            let may = plural == "instances" && ["create", "patch"].contains(&verb);
            assert_eq!(allows(role, gotocloud_api::GROUP, &plural, verb), may, "{verb} {plural}");
        }
    }
}

/// Rights know no fields, and a policy knows those that it was told of.
#[test]
fn a_new_field_of_an_instance_is_not_for_the_operator_to_write_unless_somebody_says_so() {
    let written = ["release", "stage", "rollout", "rehearse"];
    let objects = objects(&["--set", "policies.enabled=false"]).unwrap();
    let policy = of_kind(&objects, &["ValidatingAdmissionPolicy"])
        .find(|policy| text(policy, "/metadata/name") == "gotocloud-operator-instances")
        .unwrap()
        .to_string();
    let definition = gotocloud_api::definitions().into_iter().find(|one| one.spec.names.plural == "instances").unwrap();
    let definition = serde_json::to_value(definition).unwrap();
    let fields = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties").unwrap();

    for field in fields.as_object().unwrap().keys() {
        let stays = policy.contains(&format!("object.spec.?{field} == oldObject.spec.?{field}"));
        assert_eq!(stays, !written.contains(&field.as_str()), "{field}");
    }
}

#[test]
fn in_the_namespaces_of_instances_it_may_make_and_remove_what_they_are_made_of() {
    let objects = objects(&[]).unwrap();
    let (everywhere, there) = (role(&objects, "ClusterRole", OPERATOR), role(&objects, "ClusterRole", INSTANCE));
    for kind in Kind::ALL {
        for verb in ["get", "create", "patch", "delete"] {
            let may = |role| allows(role, kind.group(), kind.plural(), verb);
            // A backup stays.
            let is_wanted = kind != Kind::Backup || verb != "delete";
            assert_eq!(may(everywhere) || may(there), is_wanted, "{verb} {kind}");
        }
    }
    let known: Vec<&str> = Kind::ALL.into_iter().map(Kind::plural).collect();
    for rule in rules(there) {
        for resource in texts(rule, "/resources") {
            // It reads the last words of a migration that failed, and does nothing else with pods.
            let reads_logs = match resource {
                "pods" => texts(rule, "/verbs") == ["list"],
                "pods/log" => texts(rule, "/verbs") == ["get"],
                _ => false,
            };
            assert!(reads_logs || known.contains(&resource), "no instance is made of {resource}");
        }
    }
}

#[test]
fn the_role_it_binds_is_the_role_it_may_bind() {
    for objects in rendered() {
        let deployment = of_kind(&objects, &["Deployment"]).next().unwrap();
        let env = deployment.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array).unwrap();
        let told = env.iter().find(|variable| variable["name"] == "GOTOCLOUD_BINDING_CLUSTER_ROLE").unwrap();
        let bindable: Vec<&str> = of_kind(&objects, &["ClusterRole"])
            .flat_map(rules)
            .filter(|rule| texts(rule, "/verbs") == ["bind"])
            .flat_map(|rule| texts(rule, "/resourceNames"))
            .collect();
        assert_eq!(bindable, [text(told, "/value")]);
        role(&objects, "ClusterRole", bindable[0]);
    }
}
