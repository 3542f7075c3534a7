use super::*;
use crate::objects::Kind;

fn identity() -> Identity {
    Identity {
        installation: "installation-1".into(),
        application: "app".into(),
        establishment: "etab".into(),
        environment: "Production".into(),
        instance: "hub/app-a".into(),
    }
}

fn request() -> DatabaseRequest {
    DatabaseRequest {
        host: "db".into(),
        port: 5432,
        admin_secret_name: "admin".into(),
        ca_certificate: String::new(),
        name: "app_a".into(),
        identity: identity(),
        connection_limit: 50,
        secret: ("gtc-app-a".into(), "database-app".into()),
        known: None,
    }
}

/// The same, of an Instance whose status says that it ran on the database 16384.
fn known() -> DatabaseRequest {
    DatabaseRequest { known: Some(Known { lost: "16384".into(), ran: true, may_begin_anew: false }), ..request() }
}

fn marked(comment: Option<&str>) -> RoleFacts {
    RoleFacts { comment: comment.map(str::to_owned), may_log_in: true, is_administered: true, is_inherited: true }
}

fn owned(owner: &str, comment: Option<&str>) -> DatabaseFacts {
    DatabaseFacts { oid: 16384, owner: owner.into(), comment: comment.map(str::to_owned), is_open: false }
}

fn facts(role: Option<RoleFacts>, database: Option<DatabaseFacts>) -> Facts {
    Facts { administrator: "admin".into(), role, database }
}

fn own() -> Facts {
    let mark = identity().mark();
    facts(Some(marked(Some(&mark))), Some(owned("app_a", Some(&mark))))
}

fn foreign_mark() -> String {
    Identity { installation: "installation-2".into(), ..identity() }.mark()
}

/// Every way in which role or database is somebody else's.
fn foreign() -> Vec<(&'static str, Facts)> {
    let (mark, other) = (identity().mark(), foreign_mark());
    let older = "Go-to-Cloud instance hub/app-a";
    vec![
        ("a role without a comment", facts(Some(marked(None)), None)),
        ("a role of another installation", facts(Some(marked(Some(&other))), None)),
        ("both of another installation", facts(Some(marked(Some(&other))), Some(owned("app_a", Some(&other))))),
        ("both of an older operator's, of an Instance that knows nothing of it", {
            facts(Some(marked(Some(older))), Some(owned("app_a", None)))
        }),
        ("a database of a third role", facts(None, Some(owned("biblio", None)))),
        ("a database of the administrator", facts(None, Some(owned("admin", None)))),
        ("a database of a superuser", facts(Some(marked(Some(&mark))), Some(owned("postgres", None)))),
        ("a database of a third role that bears the mark", facts(None, Some(owned("biblio", Some(&mark))))),
        ("a database of its own role that bears another mark", {
            facts(Some(marked(Some(&mark))), Some(owned("app_a", Some(&other))))
        }),
        ("the administrator's own role", Facts { administrator: "app_a".into(), ..own() }),
    ]
}

#[test]
fn a_new_database_is_made_marked_and_closed_to_others() {
    let mark = literal(&identity().mark());
    let statements = ensure(&request(), &facts(None, None), "SCRAM").unwrap();
    assert_eq!(
        statements,
        [
            format!(
                "CREATE ROLE \"app_a\" LOGIN CONNECTION LIMIT 50 PASSWORD 'SCRAM'; COMMENT ON ROLE \"app_a\" IS {mark}"
            ),
            "GRANT \"app_a\" TO CURRENT_USER".into(),
            "CREATE DATABASE \"app_a\" OWNER \"app_a\" TEMPLATE template0 ENCODING 'UTF8'".into(),
            format!("COMMENT ON DATABASE \"app_a\" IS {mark}"),
            "REVOKE ALL ON DATABASE \"app_a\" FROM PUBLIC".into(),
        ]
    );
}

#[test]
fn of_its_own_database_nothing_but_the_password_is_set() {
    let statements = ensure(&known(), &own(), "SCRAM").unwrap();
    assert_eq!(statements, ["ALTER ROLE \"app_a\" LOGIN CONNECTION LIMIT 50 PASSWORD 'SCRAM'"]);
}

#[test]
fn nothing_is_sent_where_role_or_database_is_somebody_elses() {
    for (what, facts) in foreign() {
        let refusal = ensure(&request(), &facts, "SCRAM").expect_err(what);
        assert_eq!(refusal.reason, Reason::DatabaseRefused, "{what}");
    }
}

#[test]
fn nothing_of_somebody_elses_is_dropped_and_it_is_said() {
    for (what, facts) in foreign() {
        let clearing = clear(&request(), &facts);
        assert!(!clearing.drops_role && clearing.left.is_some(), "{what}: {clearing:?}");
        assert!(!clearing.statements.iter().any(|one| one.contains("DROP")), "{what}: {clearing:?}");
    }
}

#[test]
fn nothing_of_another_installation_is_locked() {
    let other = foreign_mark();
    let facts = facts(Some(marked(Some(&other))), Some(owned("app_a", Some(&other))));
    for clearing in [seal(&request(), &facts), clear(&request(), &facts)] {
        assert!(clearing.statements.is_empty() && clearing.left.unwrap().contains("installation-2"));
    }
}

#[test]
fn its_own_is_dropped_with_its_role() {
    let clearing = clear(&known(), &own());
    assert_eq!(clearing.statements.last().unwrap(), "DROP DATABASE IF EXISTS \"app_a\" WITH (FORCE)");
    assert!(clearing.drops_role && clearing.left.is_none());
}

#[test]
fn what_an_older_operator_made_for_an_instance_that_knows_of_it_is_taken_over_and_marked() {
    let older = facts(Some(marked(Some("Go-to-Cloud instance hub/app-a"))), Some(owned("app_a", None)));
    let statements = ensure(&known(), &older, "SCRAM").unwrap();
    let mark = literal(&identity().mark());
    assert!(statements[0].ends_with(&format!("COMMENT ON ROLE \"app_a\" IS {mark}")));
    assert!(statements.contains(&format!("COMMENT ON DATABASE \"app_a\" IS {mark}")));
    assert!(clear(&known(), &older).drops_role, "and so it is its own to drop");
    assert!(seal(&known(), &older).statements[0].contains(&mark), "and what is kept is marked");
}

#[test]
fn a_refusal_names_the_statements_that_hand_it_over() {
    let message = |facts: &Facts| ensure(&request(), facts, "SCRAM").unwrap_err().message;
    let mark = literal(&identity().mark());
    let other = foreign_mark();

    let both = message(&facts(Some(marked(Some(&other))), Some(owned("app_a", Some(&other)))));
    let wanted = format!(
        "hand it over on the server by: COMMENT ON ROLE \"app_a\" IS {mark}; COMMENT ON DATABASE \"app_a\" IS {mark}"
    );
    assert!(both.ends_with(&wanted) && both.contains(&other), "{both}");

    let of_biblio = message(&facts(None, Some(owned("biblio", None))));
    let wanted = format!(
        "CREATE ROLE \"app_a\" NOLOGIN; GRANT \"app_a\" TO \"admin\" WITH ADMIN OPTION; COMMENT ON ROLE \"app_a\" IS \
         {mark}; ALTER DATABASE \"app_a\" OWNER TO \"app_a\"; COMMENT ON DATABASE \"app_a\" IS {mark}"
    );
    assert!(of_biblio.contains("belongs to the role biblio") && of_biblio.ends_with(&wanted), "{of_biblio}");
}

#[test]
fn names_of_the_servers_own_are_refused() {
    for name in ["postgres", "template0", "template1", "pg_monitor", "pg_x", "public", "none"] {
        let request = DatabaseRequest { name: name.into(), ..request() };
        assert!(ensure(&request, &facts(None, None), "SCRAM").is_err(), "{name}");
        assert!(clear(&request, &own()).statements.is_empty(), "{name}");
    }
    assert!(may_be_called("postgres_a").is_ok() && may_be_called("pgx").is_ok());
}

#[test]
fn a_database_that_an_instance_ran_on_is_not_made_anew_unless_a_person_asks() {
    let gone = facts(Some(marked(Some(&identity().mark()))), None);
    let refusal = ensure(&known(), &gone, "SCRAM").unwrap_err();
    assert_eq!(refusal.reason, Reason::DatabaseLost);
    assert!(refusal.message.ends_with("gotocloud.amue.fr/new-empty-database=16384"), "{refusal}");

    let mut asked = known();
    asked.known.as_mut().unwrap().may_begin_anew = true;
    assert!(ensure(&asked, &gone, "SCRAM").unwrap().iter().any(|one| one.starts_with("CREATE DATABASE")));

    let mut never_ran = known();
    never_ran.known.as_mut().unwrap().ran = false;
    assert!(ensure(&never_ran, &gone, "SCRAM").is_ok());
}

/// What is changed of what a server says.
type Change = fn(&mut Facts);

#[test]
fn what_changed_since_it_was_made_sure_of_is_seen() {
    let assured = Assured { fingerprint: known().fingerprint(), oid: 16384 };
    assert!(is_as_assured(&known(), &own(), &assured));
    let changed: [(&str, Change); 7] = [
        ("the database is gone", |facts| facts.database = None),
        ("the role is gone", |facts| facts.role = None),
        ("the role may not log in", |facts| facts.role.as_mut().unwrap().may_log_in = false),
        ("the role has another comment", |facts| facts.role.as_mut().unwrap().comment = None),
        ("another database has its name", |facts| facts.database.as_mut().unwrap().oid = 7),
        ("another role owns it", |facts| facts.database.as_mut().unwrap().owner = "biblio".into()),
        ("every role may connect", |facts| facts.database.as_mut().unwrap().is_open = true),
    ];
    for (what, change) in changed {
        let mut facts = own();
        change(&mut facts);
        assert!(!is_as_assured(&known(), &facts, &assured), "{what}");
    }
}

#[test]
fn what_a_request_knows_of_the_past_does_not_change_what_it_asks_for() {
    assert_eq!(known().fingerprint(), request().fingerprint());
}

#[test]
fn an_identifier_cannot_end_its_quotes_nor_a_text() {
    assert_eq!(quoted("a\"; DROP ROLE b; --"), "\"a\"\"; DROP ROLE b; --\"");
    assert_eq!(literal("a'; DROP ROLE b; --"), "'a''; DROP ROLE b; --'");
    assert_eq!(literal("a\\"), "'a/'");
}

#[test]
fn an_instance_that_ran_and_whose_password_is_gone_says_so() {
    assert_eq!(no_password(&request()).reason, Reason::DatabaseStarting);
    let told = no_password(&known());
    assert_eq!((told.reason, told.class), (Reason::DatabaseSecretInvalid, ErrorClass::Refused));
    assert!(told.message.contains("Secret gtc-app-a/database-app"), "{}", told.message);
}

#[test]
fn a_secret_of_cloudnativepg_that_is_gone_or_lacks_what_pods_read_is_lost() {
    let key = ObjectKey::new(Kind::Secret, "gtc-app-a", "database-app");
    let keys = ["host", "port", "dbname", "username", "password", "uri"];
    let mut content: BTreeMap<String, String> = keys.map(|key| (key.to_owned(), "x".to_owned())).into();
    assert_eq!(lost_credentials(&key, &content), None);
    content.insert("password".to_owned(), String::new());
    let told = lost_credentials(&key, &content).unwrap();
    assert!(told.contains("Secret gtc-app-a/database-app") && told.contains("holds no password"), "{told}");
    assert!(lost_credentials(&key, &BTreeMap::new()).is_some());
}

#[test]
fn an_administrators_secret_that_names_a_server_is_shown_to_no_other() {
    let secret =
        |pairs: &[(&str, &str)]| pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    for fits in [&[][..], &[("host", "db")], &[("host", "db"), ("port", "5432")]] {
        assert_eq!(may_be_given(&request(), &secret(fits)), Ok(()), "{fits:?}");
    }
    for other in [&[("host", "db2")][..], &[("host", "db"), ("port", "5433")], &[("port", "1")]] {
        let refusal = may_be_given(&request(), &secret(other)).unwrap_err();
        assert_eq!(refusal.reason, Reason::DatabaseSecretInvalid, "{other:?}");
    }
}
