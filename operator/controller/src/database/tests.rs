//! The shell against a real PostgreSQL, whose administrator is no superuser.

use super::*;
use gotocloud_harness::postgres::{PostgresServer, StartOptions};
use gotocloud_planner::database::{Identity, Known, is_as_assured, quoted};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::sync::Weak;
use tokio_postgres::{Client, Config, SimpleQueryMessage, config::SslMode};

/// As servers were before PostgreSQL 15: what a tenant makes in `postgres` is found by whoever does not say what it means.
const AS_BEFORE_15: &str = "GRANT CREATE ON SCHEMA public TO PUBLIC\n";

/// The server that all tests share while one of them runs.
static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());

fn server() -> Arc<PostgresServer> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let options = StartOptions { superuser_sql: AS_BEFORE_15.into(), ..StartOptions::temporary() };
        let started = Arc::new(PostgresServer::start(&options).unwrap());
        *shared = Arc::downgrade(&started);
        started
    })
}

/// A database called `name` for an Instance of one of two installations.
fn request(server: &PostgresServer, name: &str, installation: &str) -> DatabaseRequest {
    DatabaseRequest {
        host: server.host.clone(),
        port: server.port,
        admin_secret_name: "admin".into(),
        ca_certificate: server.ca_pem.clone(),
        name: name.into(),
        identity: Identity {
            installation: installation.into(),
            application: "app".into(),
            establishment: format!("etab-{installation}"),
            environment: "Production".into(),
            instance: format!("hub/{name}"),
        },
        connection_limit: 5,
        secret: (format!("gtc-{name}"), "database-app".into()),
        known: None,
    }
}

/// The same, of an Instance whose status says that it ran on the database of that oid.
fn ran(request: &DatabaseRequest, oid: u32) -> DatabaseRequest {
    let known = Known { lost: oid.to_string(), ran: true, may_begin_anew: false };
    DatabaseRequest { known: Some(known), ..request.clone() }
}

fn administrator(server: &PostgresServer) -> Administrator {
    Administrator { username: server.admin_user.clone(), password: server.admin_password.clone() }
}

async fn ensure(server: &PostgresServer, request: &DatabaseRequest, password: &str) -> Result<Assured, Failure> {
    let operation = Operation::Ensure { password };
    match Servers::new(16).carry_out(request, &administrator(server), operation).await? {
        Carried::Assured(assured) => Ok(assured),
        other => panic!("{other:?}"),
    }
}

async fn take_away(server: &PostgresServer, request: &DatabaseRequest, operation: Operation<'_>) -> Option<String> {
    match Servers::new(16).carry_out(request, &administrator(server), operation).await.unwrap() {
        Carried::Left(left) => left,
        other => panic!("{other:?}"),
    }
}

async fn seen(server: &PostgresServer, name: &str) -> Facts {
    let names = [name.to_owned()];
    let any = request(server, name, "any");
    match Servers::new(16).carry_out(&any, &administrator(server), Operation::Look { names: &names }).await.unwrap() {
        Carried::Seen(mut facts) => facts.remove(name).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn log_in(server: &PostgresServer, user: &str, password: &str, database: &str) -> Result<Client, String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem.as_bytes()).unwrap()).unwrap();
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = Config::new();
    config.host(&server.host).port(server.port).user(user).password(password).dbname(database);
    config.ssl_mode(SslMode::Require);
    let connecting = config.connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls)).await;
    let (client, connection) = connecting.map_err(|error| connection::explained(&error))?;
    tokio::spawn(connection);
    Ok(client)
}

/// The first column of the rows that a role is given, in a database.
async fn sql(server: &PostgresServer, login: (&str, &str), database: &str, query: &str) -> Result<Vec<String>, String> {
    let client = log_in(server, login.0, login.1, database).await?;
    let answer = client.simple_query(query).await.map_err(|error| connection::explained(&error))?;
    let rows = answer.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    });
    Ok(rows.collect())
}

async fn as_administrator(server: &PostgresServer, query: &str) -> Vec<String> {
    sql(server, (&server.admin_user, &server.admin_password), "postgres", query).await.unwrap()
}

/// The statements at the end of a refusal.
fn statements(failure: &Failure) -> Vec<String> {
    let (_, statements) = failure.message.split_once("on the server by: ").unwrap();
    statements.split("; ").map(str::to_owned).collect()
}

const GRADES: &str = "CREATE TABLE grades (mark text); INSERT INTO grades VALUES ('18/20')";

#[tokio::test]
async fn a_database_that_somebody_made_by_hand_is_refused_untouched_not_dropped_and_taken_once_handed_over() {
    let server = server();
    as_administrator(&server, "CREATE ROLE biblio LOGIN PASSWORD 'b'").await;
    as_administrator(&server, "GRANT biblio TO CURRENT_USER").await;
    as_administrator(&server, "CREATE DATABASE by_hand OWNER biblio").await;
    sql(&server, ("biblio", "b"), "by_hand", GRADES).await.unwrap();
    let acl = "SELECT coalesce(datacl::text, 'as made') FROM pg_database WHERE datname = 'by_hand'";

    let request = request(&server, "by_hand", "one");
    let refusal = ensure(&server, &request, "p").await.unwrap_err();
    assert_eq!(refusal.reason, Reason::DatabaseRefused);
    assert!(refusal.message.contains("belongs to the role biblio"), "{}", refusal.message);
    assert_eq!(as_administrator(&server, acl).await, ["as made"]);
    assert_eq!(seen(&server, "by_hand").await.role, None, "not even a role is made");
    for operation in [Operation::Seal, Operation::Clear] {
        take_away(&server, &request, operation).await;
    }
    assert!(take_away(&server, &request, Operation::Clear).await.unwrap().contains("biblio"));
    assert_eq!(sql(&server, ("biblio", "b"), "by_hand", "TABLE grades").await.unwrap(), ["18/20"]);

    for statement in statements(&refusal) {
        // A superuser gives the administrator this right; here it has it, since it makes the role itself.
        let statement = if statement.starts_with("GRANT") { "GRANT by_hand TO CURRENT_USER" } else { &statement };
        as_administrator(&server, statement).await;
    }
    ensure(&server, &request, "p").await.unwrap();
    assert!(sql(&server, ("by_hand", "p"), "by_hand", "SELECT 1").await.is_ok());
}

#[tokio::test]
async fn a_second_installation_is_refused_drops_nothing_and_takes_the_data_up_once_handed_over() {
    let server = server();
    let (production, second) = (request(&server, "ag_alpha", "one"), request(&server, "ag_alpha", "two"));
    ensure(&server, &production, "p").await.unwrap();
    sql(&server, ("ag_alpha", "p"), "ag_alpha", GRADES).await.unwrap();

    let refusal = ensure(&server, &second, "q").await.unwrap_err();
    assert_eq!(refusal.reason, Reason::DatabaseRefused);
    assert!(refusal.message.contains("installation=one"), "{}", refusal.message);
    for operation in [Operation::Seal, Operation::Clear] {
        assert!(take_away(&server, &second, operation).await.unwrap().contains("installation=one"));
    }
    assert_eq!(sql(&server, ("ag_alpha", "p"), "ag_alpha", "TABLE grades").await.unwrap(), ["18/20"]);

    for statement in statements(&refusal) {
        as_administrator(&server, &statement).await;
    }
    ensure(&server, &second, "q").await.unwrap();
    assert_eq!(sql(&server, ("ag_alpha", "q"), "ag_alpha", "TABLE grades").await.unwrap(), ["18/20"]);
    assert_eq!(ensure(&server, &production, "p").await.unwrap_err().reason, Reason::DatabaseRefused);
    assert!(take_away(&server, &production, Operation::Clear).await.is_some(), "the first drops nothing any more");
    assert_eq!(take_away(&server, &second, Operation::Clear).await, None);
    assert_eq!(seen(&server, "ag_alpha").await.database, None);
}

#[tokio::test]
async fn one_word_to_the_server_hands_all_of_an_installation_over() {
    let server = server();
    let names = ["rebuilt_a", "rebuilt_b"];
    for name in names {
        ensure(&server, &request(&server, name, "former"), "p").await.unwrap();
    }
    ensure(&server, &request(&server, "bystander", "other"), "p").await.unwrap();

    let runbook = include_str!("../../../../docs/runbooks/database.md");
    let (_, block) = runbook.split_once("```sql\nDO").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let word = format!("DO{block}").replace("FORMER", "former").replace("PRESENT", "present");
    as_administrator(&server, &word).await;

    for name in names {
        ensure(&server, &request(&server, name, "present"), "p").await.unwrap_err();
        // The establishment is part of the identity, too: this one is the former's.
        let identity = Identity { installation: "present".into(), ..request(&server, name, "former").identity };
        let rebuilt = DatabaseRequest { identity, ..request(&server, name, "former") };
        ensure(&server, &rebuilt, "p").await.unwrap();
        assert!(ensure(&server, &request(&server, name, "former"), "p").await.is_err());
    }
    ensure(&server, &request(&server, "bystander", "other"), "p").await.unwrap();
}

#[tokio::test]
async fn what_an_older_operator_made_is_taken_over_once_and_marked_anew() {
    let server = server();
    as_administrator(
        &server,
        "CREATE ROLE older LOGIN PASSWORD 'o'; COMMENT ON ROLE older IS 'Go-to-Cloud instance hub/older'",
    )
    .await;
    as_administrator(&server, "GRANT older TO CURRENT_USER").await;
    as_administrator(&server, "CREATE DATABASE older OWNER older").await;
    sql(&server, ("older", "o"), "older", GRADES).await.unwrap();

    let new = request(&server, "older", "one");
    assert_eq!(ensure(&server, &new, "p").await.unwrap_err().reason, Reason::DatabaseRefused, "it knows nothing of it");
    assert!(sql(&server, ("older", "o"), "older", "SELECT 1").await.is_ok());
    let oid = seen(&server, "older").await.database.unwrap().oid;
    let known = ran(&new, oid);
    let assured = ensure(&server, &known, "p").await.unwrap();
    assert!(is_as_assured(&known, &seen(&server, "older").await, &assured), "both are marked");
    assert_eq!(sql(&server, ("older", "p"), "older", "TABLE grades").await.unwrap(), ["18/20"]);
    let other = ran(&request(&server, "older", "two"), oid);
    assert_eq!(
        ensure(&server, &other, "p").await.unwrap_err().reason,
        Reason::DatabaseRefused,
        "it was taken over once"
    );
}

#[tokio::test]
async fn what_a_tenant_left_elsewhere_on_the_server_goes_with_it() {
    let server = server();
    let (tenant, other) = (request(&server, "messy", "one"), request(&server, "tidy", "one"));
    ensure(&server, &tenant, "p").await.unwrap();
    ensure(&server, &other, "p").await.unwrap();
    let login = ("messy", "p");
    sql(&server, login, "postgres", "SELECT lo_create(0)").await.unwrap();
    sql(&server, login, "postgres", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC").await.unwrap();
    sql(&server, ("tidy", "p"), "tidy", "GRANT CONNECT ON DATABASE tidy TO messy").await.unwrap();
    sql(&server, ("tidy", "p"), "tidy", "CREATE SCHEMA shared; GRANT ALL ON SCHEMA shared TO messy").await.unwrap();
    sql(&server, login, "tidy", "CREATE TABLE shared.left_here (a int)").await.unwrap();
    sql(&server, ("tidy", "p"), "tidy", GRADES).await.unwrap();

    assert_eq!(take_away(&server, &tenant, Operation::Clear).await, None);
    let gone = seen(&server, "messy").await;
    assert_eq!((gone.role, gone.database), (None, None));
    assert_eq!(sql(&server, ("tidy", "p"), "tidy", "TABLE grades").await.unwrap(), ["18/20"], "the other's is there");
    assert_eq!(take_away(&server, &tenant, Operation::Clear).await, None, "and again");
}

#[tokio::test]
async fn what_cannot_be_cleared_is_left_with_the_role_locked_and_said() {
    let server = server();
    let tenant = request(&server, "double", "one");
    ensure(&server, &tenant, "p").await.unwrap();
    as_administrator(&server, "CREATE DATABASE double_2 OWNER double").await;

    let left = take_away(&server, &tenant, Operation::Clear).await.unwrap();
    assert!(left.contains("double_2") && left.contains("locked"), "{left}");
    let facts = seen(&server, "double").await;
    assert!(facts.database.is_none() && !facts.role.unwrap().may_log_in);
    assert!(seen(&server, "double_2").await.database.is_some());
}

#[tokio::test]
async fn a_database_that_vanished_is_not_made_anew_before_a_person_asks_for_it() {
    let server = server();
    let new = request(&server, "vanished", "one");
    let assured = ensure(&server, &new, "p").await.unwrap();
    as_administrator(&server, "DROP DATABASE vanished").await;

    let mut known = ran(&new, assured.oid);
    assert!(!is_as_assured(&known, &seen(&server, "vanished").await, &assured));
    assert_eq!(ensure(&server, &known, "p").await.unwrap_err().reason, Reason::DatabaseLost);
    assert_eq!(seen(&server, "vanished").await.database, None);
    if let Some(known) = &mut known.known {
        known.may_begin_anew = true;
    }
    let anew = ensure(&server, &known, "p").await.unwrap();
    assert_ne!(anew.oid, assured.oid, "the word was given of the one before");
}

#[tokio::test]
async fn a_password_that_somebody_changed_and_a_role_that_is_locked_are_seen() {
    let server = server();
    let tenant = request(&server, "locked_out", "one");
    ensure(&server, &tenant, "p").await.unwrap();
    let fits = async || Servers::new(16).may_log_in(&tenant, "p").await;
    assert_eq!(fits().await, Some(true));
    as_administrator(&server, "ALTER ROLE locked_out PASSWORD 'another'").await;
    assert_eq!(fits().await, Some(false));
    ensure(&server, &tenant, "p").await.unwrap();
    assert_eq!(fits().await, Some(true), "it is put right");
    as_administrator(&server, "ALTER ROLE locked_out NOLOGIN").await;
    assert_eq!(fits().await, Some(false));
}

#[tokio::test]
async fn a_tenants_function_is_never_called_as_administrator() {
    let server = server();
    let attacker = request(&server, "attacker", "one");
    ensure(&server, &attacker, "p").await.unwrap();
    // Both match what an unqualified call writes better than PostgreSQL's own do.
    let trap = "CREATE FUNCTION public.shobj_description(oid, text) RETURNS text LANGUAGE plpgsql AS \
                $$ BEGIN RAISE EXCEPTION 'called as %', current_user; END $$";
    sql(&server, ("attacker", "p"), "postgres", trap).await.unwrap();
    let login = (&*server.admin_user, &*server.admin_password);
    let unqualified = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles LIMIT 1";
    let sprung = sql(&server, login, "postgres", unqualified).await.unwrap_err();
    assert!(sprung.contains("called as gotocloud_admin"), "the trap works: {sprung}");

    ensure(&server, &request(&server, "victim", "one"), "p").await.unwrap();
    assert_eq!(take_away(&server, &attacker, Operation::Clear).await, None, "and it goes with whoever laid it");
}

#[tokio::test]
async fn a_server_that_asks_for_the_password_itself_does_not_get_it() {
    let folder = std::env::temp_dir().join(format!("gotocloud-postgres-{:016x}", rand::random::<u64>()));
    let first = PostgresServer::start(&StartOptions::new(&folder)).unwrap();
    first.stop().unwrap();
    std::fs::write(folder.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 password\n").unwrap();
    let server = PostgresServer::start(&StartOptions { temporary: true, ..StartOptions::new(&folder) }).unwrap();

    let login = (&*server.admin_user, &*server.admin_password);
    assert!(sql(&server, login, "postgres", "SELECT 1").await.is_ok(), "another client gives it");
    let refusal = ensure(&server, &request(&server, "shy", "one"), "p").await.unwrap_err();
    assert_eq!((refusal.reason, refusal.class), (Reason::DatabaseRefused, ErrorClass::Refused));
    assert!(refusal.message.contains("channel binding"), "{}", refusal.message);
}

#[tokio::test]
async fn a_server_that_hangs_keeps_nobody_waiting_but_the_first() {
    let server = server();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok(connection) = silent.accept().await {
            held.push(connection);
        }
    });
    let hanging = DatabaseRequest { port, ..request(&server, "hanging", "one") };
    let servers = Servers::new(16);
    let who = administrator(&server);
    let ask = async |request: &DatabaseRequest| {
        let begun = Instant::now();
        let result = servers.carry_out(request, &who, Operation::Ensure { password: "p" }).await;
        (result.err().map(|failure| failure.reason), begun.elapsed())
    };

    let (first, healthy) = tokio::join!(ask(&hanging), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ask(&request(&server, "healthy", "one")).await
    });
    assert_eq!((first.0, healthy.0), (Some(Reason::DatabaseUnreachable), None));
    assert!(healthy.1 < Duration::from_secs(5), "{:?}", healthy.1);
    for _ in 0..50 {
        let (reason, took) = ask(&hanging).await;
        assert_eq!(reason, Some(Reason::DatabaseUnreachable));
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_has_no_more_than_half_of_the_instances_wait_for_it() {
    let server = server();
    // The kernel takes every connection, and nobody answers on it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = DatabaseRequest { port: silent.local_addr().unwrap().port(), ..request(&server, "hanging", "one") };
    let servers = Servers::new(4);
    let who = administrator(&server);
    let ask = async || {
        let begun = Instant::now();
        let result = servers.carry_out(&hanging, &who, Operation::Ensure { password: "p" }).await;
        (result.err().map(|failure| failure.reason), begun.elapsed())
    };

    tokio::select! {
        _ = async { tokio::join!(ask(), ask()) } => panic!("nobody answers them so soon"),
        () = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let (reason, took) = ask().await;
            assert_eq!(reason, Some(Reason::DatabaseStarting));
            assert!(took < Duration::from_secs(4), "{took:?}");
            let (reason, took) = ask().await;
            assert_eq!(reason, Some(Reason::DatabaseStarting));
            assert!(took < Duration::from_millis(500), "{took:?}");
        } => {}
    }
}

#[tokio::test]
async fn a_role_and_a_database_are_no_wider_open_than_they_must_be() {
    let server = server();
    let name = "closed";
    ensure(&server, &request(&server, name, "one"), "p").await.unwrap();
    ensure(&server, &request(&server, "nosy", "one"), "p").await.unwrap();
    let refusal = sql(&server, ("nosy", "p"), name, "SELECT 1").await.unwrap_err();
    assert!(refusal.contains("permission denied for database"), "{refusal}");
    let rights = format!(
        "SELECT concat_ws(' ', rolsuper, rolcreatedb, rolcreaterole, rolconnlimit) FROM pg_roles WHERE rolname = '{name}'"
    );
    assert_eq!(as_administrator(&server, &rights).await, ["f f f 5"]);
    assert!(quoted(name).starts_with('"'));
}
