//! What does the API server itself refuse, and what do people see with plain kubectl?

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_harness::{Terminal, kstatus};
use gotocloud_integration::{
    APPLICATIONS, ESTABLISHMENTS, Fleet, HUB, INSTANCES, PATIENCE, PLATFORMS, RELEASES, condition, eventually,
    fleet_tests,
    objects::{APP, ETAB, SERVER, application, establishment, full_platform, instance, release, unready_pods, with},
};
use serde_json::{Value, json};

/// What `kubectl apply` says when it is refused.
fn refusal(fleet: &Fleet, object: &Value) -> String {
    match fleet.kubectl_apply(object) {
        Ok(said) => panic!("not refused: {object}\n{said}"),
        Err(refusal) => refusal,
    }
}

/// Is it refused, with each of those words?
fn refused(fleet: &Fleet, object: &Value, words: &[&str]) {
    let refusal = refusal(fleet, object);
    for word in words {
        assert!(refusal.contains(word), "the refusal does not say {word:?}: {refusal}");
    }
}

fn edited(object: &Value, spec: &Value) -> Value {
    with(object.clone(), json!({ "spec": spec }))
}

fn a_wrong_letter_of_a_uai_is_refused_and_the_right_one_named(fleet: &mut Fleet) {
    let wrong = edited(&establishment("wrong"), &json!({"uai": "0751717K"}));
    refused(fleet, &wrong, &["0751717K", "write 0751717J"]);
    refused(fleet, &edited(&establishment("wrong"), &json!({"uai": "751717J"})), &["spec.uai"]);
    fleet.kubectl_apply(&edited(&establishment("right"), &json!({"uai": "0751717J"}))).unwrap();
}

fn a_version_not_of_its_scheme_is_refused_with_an_example(fleet: &mut Fleet) {
    let of = |scheme: &str, version: &str| {
        edited(&release("versions", "1.0"), &json!({"versionScheme": scheme, "version": version}))
    };
    for (scheme, wrong, example) in [
        ("MajorMinor", "2.3", "V2.3"),
        ("MajorMinor", "V2.3.1", "V2.3"),
        ("MajorMinorRevision", "V1.4", "V1.4.00"),
        ("MajorMinorRevision", "V1.4.00-P1", "V1.4.00"),
        ("Dotted", "V6.20", "6.20.70"),
        ("Dotted", "6.20.", "6.20.70"),
        ("PackageSet", "MAIN.2.09.50+DATA.1.09.00", "DATA.1.09.00+MAIN.2.09.50"),
        ("PackageSet", "DATA.1.09.00+DATA.1.09.01", "DATA.1.09.00+MAIN.2.09.50"),
        ("PackageSet", "data.1.09", "DATA.1.09.00+MAIN.2.09.50"),
    ] {
        refused(fleet, &of(scheme, wrong), &[&format!("version \"{wrong}\" is not of the scheme {scheme}"), example]);
    }
    for (at, (scheme, right)) in [
        ("MajorMinor", "V2.3"),
        ("MajorMinorRevision", "V1.4.00-P01"),
        ("Dotted", "6.20.70"),
        ("PackageSet", "DATA.1.09.00+MAIN.2.09.50"),
    ]
    .into_iter()
    .enumerate()
    {
        let right = with(of(scheme, right), json!({"metadata": {"name": format!("right-{at}")}}));
        fleet.kubectl_apply(&right).unwrap();
    }
    refused(fleet, &of("Semantic", "1.0.0"), &["versionScheme", "supported values", "Dotted"]);
}

fn an_unknown_size_class_is_refused_with_those_there_are(fleet: &mut Fleet) {
    let words = ["sizeClass", "supported values", "VerySmall", "VeryLarge"];
    refused(
        fleet,
        &edited(&establishment("huge"), &json!({"yearlyMassMillionEuros": null, "sizeClass": "Huge"})),
        &words,
    );
    refused(fleet, &edited(&instance("huge", APP, ETAB), &json!({"sizeClass": "Huge"})), &words);
}

fn a_size_that_contradicts_the_mass_is_refused_with_the_one_it_makes(fleet: &mut Fleet) {
    let contradictory = edited(&establishment("mass"), &json!({"yearlyMassMillionEuros": 49.9, "sizeClass": "Large"}));
    refused(fleet, &contradictory, &["49.9", "makes the size class Small, not Large"]);
    // The bounds of the programme, as the API server counts them.
    for (mass, class) in [
        (14.9, "VerySmall"),
        (15.0, "Small"),
        (50.0, "Medium"),
        (120.0, "Large"),
        (300.0, "Large"),
        (300.1, "VeryLarge"),
    ] {
        fleet
            .kubectl_apply(&edited(
                &establishment("mass"),
                &json!({"yearlyMassMillionEuros": mass, "sizeClass": class}),
            ))
            .unwrap();
    }
}

fn what_an_instance_is_for_cannot_be_edited(fleet: &mut Fleet) {
    let fixed = edited(&instance("fixed", APP, ETAB), &json!({"platform": "server", "release": null}));
    fleet.kubectl_apply(&fixed).unwrap();
    for (field, value) in [("application", "other"), ("establishment", "other"), ("environment", "Test")] {
        refused(
            fleet,
            &edited(&fixed, &json!({field: value})),
            &[&format!("{field} cannot change"), "make a new Instance"],
        );
    }
    for platform in [json!("cnpg"), Value::Null] {
        refused(
            fleet,
            &edited(&fixed, &json!({ "platform": platform })),
            &["the platform cannot be edited", "moves its data"],
        );
    }
    fleet.clear(&["fixed"]);
}

fn a_stage_goes_back_only_where_the_same_edit_allows_it(fleet: &mut Fleet) {
    let staged = |stage: &str| edited(&instance("staged", APP, ETAB), &json!({"stage": stage, "release": null}));
    fleet.kubectl_apply(&staged("Provisioned")).unwrap();
    fleet.kubectl_apply(&staged("FullProduction")).unwrap();
    for back in ["PartialProduction", "Provisioned"] {
        let words = [&format!("the stage cannot go back from FullProduction to {back}"), "allowStageRegression: true"];
        refused(fleet, &staged(back), &words);
    }
    fleet.kubectl_apply(&edited(&staged("PartialProduction"), &json!({"allowStageRegression": true}))).unwrap();
    assert_eq!(fleet.instance("staged")["spec"]["stage"], "PartialProduction");
    fleet.clear(&["staged"]);
}

fn a_name_too_long_for_its_namespace_is_refused(fleet: &mut Fleet) {
    let of = |length: usize| edited(&instance(&"n".repeat(length), APP, ETAB), &json!({"release": null}));
    refused(fleet, &of(60), &["at most 59 characters", "gtc-NAME", "shorten it"]);
    refused(fleet, &edited(&instance("a.b", APP, ETAB), &json!({})), &["DNS label"]);
    fleet.kubectl_apply(&of(59)).unwrap();
    fleet.clear(&[&"n".repeat(59)]);
}

fn a_release_is_immutable_but_for_its_support_and_where_it_is_reached_from(fleet: &mut Fleet) {
    let mut published = release("published", "1.0");
    published["spec"]["migration"] =
        json!({"image": gotocloud_integration::objects::image("migrate", "1.0"), "reversible": true});
    fleet.kubectl_apply(&published).unwrap();
    let other_image = gotocloud_integration::objects::image("web", "other");
    for (pointer, value) in [
        ("/spec/application", json!("other")),
        ("/spec/version", json!("1.1")),
        ("/spec/components/0/image", json!(other_image)),
        ("/spec/components/0/env/0/value", json!("other")),
        ("/spec/generatedSecrets/0/length", json!(64)),
        ("/spec/migration/reversible", json!(false)),
    ] {
        let mut changed = published.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        refused(fleet, &changed, &["a Release is immutable", "publish a new version as a new Release"]);
    }
    let mut without = published.clone();
    without["spec"].as_object_mut().unwrap().remove("generatedSecrets");
    // Applied as the one who owns the field: it would go.
    refused(fleet, &without, &["a Release is immutable"]);
    fleet
        .kubectl_apply(&edited(&published, &json!({"support": {"until": "2027-12-31"}, "reachableFrom": ["0.9"]})))
        .unwrap();
    fleet.kubectl_apply(&edited(&published, &json!({"support": {"until": "2028-06-30"}}))).unwrap();
    assert_eq!(fleet.get(RELEASES, "", "published-1.0").unwrap()["spec"]["support"]["until"], "2028-06-30");
}

fn a_variable_with_two_sources_is_refused(fleet: &mut Fleet) {
    let words = ["give exactly one of value, fromDatabase and fromSecret"];
    let two = json!([{"name": "A", "value": "x", "fromDatabase": "Uri"}]);
    refused(fleet, &edited(&instance("two", APP, ETAB), &json!({ "env": two })), &words);
    refused(fleet, &edited(&instance("two", APP, ETAB), &json!({"env": [{"name": "A"}]})), &words);
    let mut of_release = release("two", "1.0");
    of_release["spec"]["components"][0]["env"] = two;
    refused(fleet, &of_release, &words);
}

fn a_platform_has_one_way_in_and_one_place_for_data(fleet: &mut Fleet) {
    let both = json!({"exposure": {"ingress": {"className": "nginx", "namespace": "ingress-nginx"}}});
    refused(fleet, &edited(&full_platform("both"), &both), &["give exactly one of gateway and ingress"]);
    refused(
        fleet,
        &edited(&full_platform("none"), &json!({"exposure": {"gateway": null}})),
        &["give exactly one of gateway and ingress"],
    );
    let server = fleet.installation.platform("both")["spec"]["database"].clone();
    refused(
        fleet,
        &edited(&full_platform("both"), &json!({ "database": server })),
        &["give exactly one of cloudNativePG and server"],
    );
}

fn an_image_without_digest_and_an_unknown_field_are_refused(fleet: &mut Fleet) {
    let mut by_tag = release("tag", "1.0");
    by_tag["spec"]["components"][0]["image"] = json!("registry.example.org/web:latest");
    refused(fleet, &by_tag, &["spec.components[0].image"]);
    refused(fleet, &edited(&instance("typo", APP, ETAB), &json!({"plattform": "server"})), &["plattform"]);
    refused(fleet, &edited(&application("scheme"), &json!({"tenancy": "Private"})), &["supported values", "Dedicated"]);
}

fn every_property_of_every_definition_is_described(fleet: &mut Fleet) {
    let mut properties = 0;
    for kind in ["applications", "releases", "platforms", "establishments", "instances"] {
        let file = gotocloud_harness::operator::checkout().join(format!("crds/{kind}.gotocloud.amue.fr.yaml"));
        let text = std::fs::read_to_string(file).unwrap();
        let definition: Value = serde_yaml::from_str(&text).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        properties += described(schema, kind);
        // What kubectl explain shows is what the API server keeps.
        let explained = fleet.kubectl(&["explain", &format!("{kind}.spec")]).unwrap();
        assert!(explained.contains("FIELDS:") && !explained.contains("<no description>"), "{explained}");
    }
    assert!(properties > 150, "only {properties} properties were looked at");
    println!("{properties} properties, each described");
}

/// How many properties there are below a schema; fails at the first without a description.
fn described(schema: &Value, path: &str) -> usize {
    let mut properties = 0;
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        // The API server gives every object this one.
        if !path.ends_with("s.metadata") {
            let words = property["description"].as_str().unwrap_or_default().split_whitespace().count();
            assert!(words > 0, "{path} has no description");
        }
        properties += 1 + described(property, &path);
    }
    if schema["items"].is_object() {
        properties += described(&schema["items"], &format!("{path}[]"));
    }
    properties
}

fn a_list_of_instances_shows_what_one_asks_first(fleet: &mut Fleet) {
    fleet.provision(&[instance("listed", APP, ETAB)]);
    let list = fleet.kubectl(&["get", "instances", "--namespace", HUB]).unwrap();
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "STAGE", "RELEASE", "PLATFORM", "READY", "AGE"]);
    assert_eq!(lines[1][..5], ["listed", "Provisioned", "1.0", "server", "True"]);
    let wide = fleet.kubectl(&["get", "ginst", "--namespace", HUB, "-o", "wide"]).unwrap();
    assert!(
        wide.contains("MESSAGE") && wide.contains("URL") && wide.contains("https://listed.server.example.org"),
        "{wide}"
    );
}

fn every_kind_has_its_short_name_and_all_have_the_category(fleet: &mut Fleet) {
    for (short, of) in [("gapp", "app"), ("grel", "app-1.0"), ("gplat", "server"), ("gest", "etab")] {
        let list = fleet.kubectl(&["get", short, "--no-headers"]).unwrap();
        assert!(list.lines().any(|line| line.split_whitespace().next() == Some(of)), "{short}: {list}");
    }
    let all = fleet.kubectl(&["get", "gotocloud", "--all-namespaces", "-o", "name"]).unwrap();
    for one in [
        "application.gotocloud.amue.fr/app",
        "release.gotocloud.amue.fr/app-1.0",
        "platform.gotocloud.amue.fr/server",
        "establishment.gotocloud.amue.fr/etab",
        "instance.gotocloud.amue.fr/listed",
    ] {
        assert!(all.lines().any(|line| line == one), "{one} is not in: {all}");
    }
}

fn a_fleet_is_searched_by_its_fields(fleet: &mut Fleet) {
    let count = |arguments: &[&str]| {
        let all: Vec<&str> = ["get", "-A", "-o", "name"].iter().chain(arguments).copied().collect();
        fleet.kubectl(&all).unwrap().lines().count()
    };
    for (selector, found) in [
        ("spec.application=app", 1),
        ("spec.application=other", 0),
        ("spec.establishment=etab,spec.stage=Provisioned", 1),
        ("spec.stage=FullProduction", 0),
        ("spec.release=app-1.0", 1),
        ("spec.platform=cnpg", 0),
    ] {
        assert_eq!(count(&["instances", "--field-selector", selector]), found, "{selector}");
    }
    assert_eq!(count(&["releases", "--field-selector", "spec.application=app,spec.version=1.0"]), 1);
    assert_eq!(count(&["applications", "--field-selector", "spec.tenancy=Grouped"]), 1);
    assert_eq!(count(&["platforms", "--field-selector", "spec.state=Active"]), 2);
    assert!(count(&["establishments", "--field-selector", "spec.homePlatform=server"]) >= 1);
    fleet.clear(&["listed"]);
}

/// What kstatus says of an object as it is now.
fn kstatus_of(fleet: &Fleet, resource: &str, namespace: &str, name: &str) -> String {
    let object = fleet.get(resource, namespace, name).unwrap_or_else(|| panic!("no {resource} {name}"));
    kstatus::of(&[object], &Terminal).unwrap().remove(0)
}

fn who_waits_by_kstatus_is_told_what_is_so(fleet: &mut Fleet) {
    fleet.provision(&[instance("well", APP, ETAB)]);
    let lost = edited(&instance("lost", APP, ETAB), &json!({"release": "app-9.9", "environment": "Test"}));
    fleet.apply(&lost).unwrap();
    fleet.stalled("lost", "ReleaseNotFound");
    assert_eq!(kstatus_of(fleet, INSTANCES, HUB, "well"), "Current");
    assert_eq!(kstatus_of(fleet, INSTANCES, HUB, "lost"), "Failed");

    let of_catalogue = [(APPLICATIONS, APP), (RELEASES, "app-1.0"), (PLATFORMS, SERVER), (ESTABLISHMENTS, ETAB)];
    for (resource, name) in of_catalogue {
        eventually(PATIENCE, &format!("{resource} {name} is at rest"), || {
            match kstatus_of(fleet, resource, "", name) {
                status if status == "Current" => Ok(()),
                status => Err(status),
            }
        });
    }

    // As soon as it is edited, and before anybody looks.
    let asked = fleet.edit("well", &json!({"spec": {"stage": "PartialProduction"}}));
    assert_eq!(kstatus::of(&[asked], &Terminal).unwrap(), ["InProgress"]);
    fleet.ready("well");
    eventually(PATIENCE, "it is at rest", || match kstatus_of(fleet, INSTANCES, HUB, "well") {
        status if status == "Current" => Ok(()),
        status => Err(status),
    });
    fleet.clear(&["well", "lost"]);
}

fn who_waits_by_kstatus_for_a_campaign_is_told_how_it_and_its_instances_stand(fleet: &mut Fleet) {
    const CAMPAIGNS: &str = "gotocloud.amue.fr/v1alpha1/campaigns";
    let told = |moment: &str, all: &[(&str, &str, &str)]| {
        eventually(PATIENCE, moment, || {
            let namespace = |resource: &str| if resource == INSTANCES { HUB } else { "" };
            let now: Vec<_> =
                all.iter().map(|(kind, name, _)| kstatus_of(fleet, kind, namespace(kind), name)).collect();
            if now.iter().zip(all).all(|(now, (.., wanted))| now == wanted) { Ok(()) } else { Err(format!("{now:?}")) }
        });
    };
    let campaign = |name: &str, release: &str| {
        let wave = |name: &str, target: &str| json!({"name": name, "targets": {"names": [target]}});
        let waves = [wave("first", "unlucky"), wave("rest", "lucky")];
        json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": name},
            "spec": {"application": APP, "namespace": HUB, "state": "Running", "upgrade": {"release": release},
                "progressDeadline": "10s", "waves": waves}})
    };
    let targets = ["unlucky", "lucky"].map(|name| {
        fleet.apply(&establishment(name)).unwrap();
        edited(&instance(name, APP, name), &json!({"release": "app-1.0"}))
    });
    fleet.provision(&targets);
    // The campaign chooses.
    for name in ["unlucky", "lucky"] {
        fleet.edit(name, &json!({"spec": {"release": null}}));
    }
    fleet.apply(&release(APP, "2.0")).unwrap();
    fleet.apply(&unready_pods("unlucky", "2.0", &["unlucky"])).unwrap();
    fleet.apply(&campaign("lost", "app-9.9")).unwrap();
    told("it cannot run", &[(CAMPAIGNS, "lost", "Failed")]);

    fleet.apply(&campaign("waited-for", "app-2.0")).unwrap();
    fleet.until("unlucky", "it is on its way", |one| one["status"]["upgrade"]["phase"] == "Rollout");
    let running = [
        (CAMPAIGNS, "waited-for", "InProgress"),
        (INSTANCES, "unlucky", "InProgress"),
        (INSTANCES, "lucky", "Current"),
    ];
    told("it goes on", &running);
    let halted =
        [(CAMPAIGNS, "waited-for", "Failed"), (INSTANCES, "unlucky", "Failed"), (INSTANCES, "lucky", "Current")];
    told("it is halted", &halted);
    fleet.patch(CAMPAIGNS, "", "waited-for", &json!({"spec": {"skip": ["unlucky"]}})).unwrap();
    let completed =
        [(CAMPAIGNS, "waited-for", "Current"), (INSTANCES, "unlucky", "Failed"), (INSTANCES, "lucky", "Current")];
    told("it is completed", &completed);
    assert_eq!(fleet.instance("lucky")["status"]["release"]["version"], "2.0");

    for name in ["lost", "waited-for"] {
        fleet.delete(CAMPAIGNS, "", name).unwrap();
    }
    fleet.delete("kwok.x-k8s.io/v1alpha1/stages", "", "unlucky").unwrap();
    fleet.delete(INSTANCES, HUB, "lucky").unwrap();
    // Its objects go first, and that takes a moment.
    assert_eq!(kstatus_of(fleet, INSTANCES, HUB, "lucky"), "Terminating");
    fleet.clear(&["unlucky", "lucky"]);
}

fn a_name_that_stands_for_nothing_is_told_until_it_stands_for_something(fleet: &mut Fleet) {
    const DEFERRALS: &str = "gotocloud.amue.fr/v1alpha1/deferrals";
    const APPROVALS: &str = "gotocloud.amue.fr/v1alpha1/approvals";
    const FREEZES: &str = "gotocloud.amue.fr/v1alpha1/changefreezes";
    let told = |resource: &str, namespace: &str, name: &str, kind: &str, wanted: &str, kstatus: &str| {
        eventually(PATIENCE, &format!("{resource} {name}: {kind} {wanted}"), || {
            let object = fleet.get(resource, namespace, name).unwrap();
            let one = condition(&object, kind).map(|one| format!("{} {}", one.status, one.reason)).unwrap_or_default();
            let is_so = one == wanted && kstatus_of(fleet, resource, namespace, name) == kstatus;
            if is_so { Ok(()) } else { Err(object["status"].clone()) }
        });
    };

    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let yearly = json!({"yearly": {"from": "07-01", "until": "09-01"}});
    let spec = json!({"reason": "exams", "period": yearly, "establishments": ["later"]});
    fleet.apply(&object("ChangeFreeze", "exams", spec)).unwrap();
    told(FREEZES, "", "exams", "Ready", "False EstablishmentNotFound", "Failed");

    let spec =
        json!({"establishment": "later", "campaign": "planned", "until": "2999-01-01T00:00:00Z", "reason": "exams"});
    fleet.apply(&with(object("Deferral", "exams", spec), json!({"metadata": {"namespace": HUB}}))).unwrap();
    told(DEFERRALS, HUB, "exams", "Ready", "False EstablishmentNotFound", "Failed");

    fleet.apply(&edited(&establishment("later"), &json!({"homePlatform": "nowhere"}))).unwrap();
    told(ESTABLISHMENTS, "", "later", "ResolvedRefs", "False PlatformNotFound", "Current");
    told(FREEZES, "", "exams", "Ready", "True AsDesired", "Current");
    told(DEFERRALS, HUB, "exams", "Ready", "False NamespaceMismatch", "Failed");

    fleet.patch(ESTABLISHMENTS, "", "later", &json!({"spec": {"homePlatform": SERVER, "namespace": HUB}})).unwrap();
    told(ESTABLISHMENTS, "", "later", "ResolvedRefs", "True AsDesired", "Current");
    told(DEFERRALS, HUB, "exams", "Ready", "False CampaignNotFound", "InProgress");

    // In one's own name, as the policies of the chart ask.
    let by = fleet.kubectl(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).unwrap();
    for (name, wave) in [("word", "all"), ("stray", "al")] {
        let spec = json!({"campaign": "planned", "wave": wave, "by": by});
        fleet.apply(&object("Approval", name, spec)).unwrap();
        told(APPROVALS, "", name, "Ready", "False CampaignNotFound", "InProgress");
    }

    let waves = json!([{"name": "all", "targets": {"names": ["none"]}}]);
    let spec = json!({"application": APP, "upgrade": {"release": "app-1.0"}, "maxDeferralDays": 3, "waves": waves});
    fleet.apply(&object("Campaign", "planned", spec)).unwrap();
    told(DEFERRALS, HUB, "exams", "Ready", "True AsDesired", "Current");
    told(APPROVALS, "", "word", "Ready", "True AsDesired", "Current");
    told(APPROVALS, "", "stray", "Ready", "False WaveNotFound", "Failed");

    fleet.delete(APPROVALS, "", "word").unwrap();
    fleet.delete(APPROVALS, "", "stray").unwrap();
    fleet.delete(DEFERRALS, HUB, "exams").unwrap();
    fleet.delete(FREEZES, "", "exams").unwrap();
    fleet.delete("gotocloud.amue.fr/v1alpha1/campaigns", "", "planned").unwrap();
    fleet.delete(ESTABLISHMENTS, "", "later").unwrap();
}

fleet_tests!(
    "it-schema",
    |spec| spec.nodes(1),
    [
        a_wrong_letter_of_a_uai_is_refused_and_the_right_one_named,
        a_version_not_of_its_scheme_is_refused_with_an_example,
        an_unknown_size_class_is_refused_with_those_there_are,
        a_size_that_contradicts_the_mass_is_refused_with_the_one_it_makes,
        what_an_instance_is_for_cannot_be_edited,
        a_stage_goes_back_only_where_the_same_edit_allows_it,
        a_name_too_long_for_its_namespace_is_refused,
        a_release_is_immutable_but_for_its_support_and_where_it_is_reached_from,
        a_variable_with_two_sources_is_refused,
        a_platform_has_one_way_in_and_one_place_for_data,
        an_image_without_digest_and_an_unknown_field_are_refused,
        every_property_of_every_definition_is_described,
        a_list_of_instances_shows_what_one_asks_first,
        every_kind_has_its_short_name_and_all_have_the_category,
        a_fleet_is_searched_by_its_fields,
        who_waits_by_kstatus_is_told_what_is_so,
        who_waits_by_kstatus_for_a_campaign_is_told_how_it_and_its_instances_stand,
        a_name_that_stands_for_nothing_is_told_until_it_stands_for_something,
    ]
);
