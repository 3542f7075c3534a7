//! What do the gates of campaigns say of their targets? Asked of each platform's Prometheus, for those that wait for it.

use crate::{
    apply::explained,
    catalogue::{Catalogue, reference},
    children::InstanceRef,
    clock::Clock,
};
use futures::{
    StreamExt as _,
    future::join_all,
    stream::{self, FuturesUnordered},
};
use gotocloud_api::{Instance, campaign::Gate, names, upgrade::UpgradePhase};
use gotocloud_planner::{
    campaign::gates::{self, Question, Series},
    inputs,
    upgrade::Gates,
};
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc::UnboundedSender, time::MissedTickBehavior};

/// How often gates are asked.
const EVERY: Duration = Duration::from_secs(15);
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many targets one Prometheus is asked about at the same time.
const AT_ONCE: usize = 4;

/// What gates say, as last asked.
#[derive(Default)]
pub struct Gatekeeper(Mutex<HashMap<InstanceRef, (Timestamp, Gates)>>);

impl Gatekeeper {
    /// What the gates of an Instance's wave say.
    pub fn reading(&self, who: &InstanceRef, instance: &Instance, catalogue: &Catalogue) -> Gates {
        if of(instance, catalogue).is_empty() {
            return Gates::True;
        }
        let readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A reading of an earlier phase speaks of what was there before.
        let since = since(instance);
        let reading = readings.get(who).filter(|(of, _)| Some(*of) == since).map(|(_, reading)| reading.clone());
        reading.unwrap_or_else(|| Gates::Unknown("its gates have not been asked yet".into()))
    }

    /// Asks the gates of all that wait for them, again and again; sends those whose answer changed to `changed`. Each
    /// Prometheus is asked on its own: while one is silent, the others answer.
    pub async fn run(&self, catalogue: Arc<Catalogue>, clock: Clock, changed: UnboundedSender<InstanceRef>) {
        let mut rounds = FuturesUnordered::new();
        let mut busy = HashSet::new();
        let mut time = tokio::time::interval_at(tokio::time::Instant::now() + EVERY, EVERY);
        time.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = time.tick() => {
                    let waiting = waiting(&catalogue);
                    self.keep_only(waiting.values().flatten());
                    for (server, targets) in waiting {
                        // One that has not answered all of the last round is not asked more.
                        if busy.insert(server.clone()) {
                            let asker = Asker { catalogue: &catalogue, clock: &clock, changed: &changed };
                            rounds.push(self.round(server, targets, asker));
                        }
                    }
                }
                Some(server) = rounds.next() => drop(busy.remove(&server)),
            }
        }
    }

    /// Asks one Prometheus about all that wait for it. Each answer counts as soon as it is there.
    async fn round(&self, server: Server, targets: Vec<Arc<Instance>>, asker: Asker<'_>) -> Server {
        let is_silent = AtomicBool::new(false);
        let questions = targets.into_iter().map(|instance| {
            let (server, is_silent) = (&server, &is_silent);
            async move {
                let gates = of(&instance, asker.catalogue);
                let Some(since) = since(&instance) else { return };
                let said =
                    join_all(gates.iter().map(|gate| ask(gate, &instance, server, is_silent, asker.clock))).await;
                self.note(&reference(&instance), &(since, gates::together(said)), asker.changed);
            }
        });
        stream::iter(questions).buffer_unordered(AT_ONCE).collect::<()>().await;
        server
    }

    /// Takes in an answer, and tells whom it concerns if it is another than before.
    fn note(&self, who: &InstanceRef, reading: &(Timestamp, Gates), changed: &UnboundedSender<InstanceRef>) {
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(who.clone(), reading.clone());
        if before.as_ref() != Some(reading) {
            // Nobody listens any more only while the process ends.
            let _ = changed.send(who.clone());
        }
    }

    fn keep_only<'i>(&self, waiting: impl Iterator<Item = &'i Arc<Instance>>) {
        let waiting: HashSet<InstanceRef> = waiting.map(|instance| reference(instance)).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|who, _| waiting.contains(who));
    }
}

/// The address of the Prometheus that a target's platform names; `None` if it names none.
type Server = Option<String>;

/// What a round of questions needs beside its targets.
#[derive(Clone, Copy)]
struct Asker<'a> {
    catalogue: &'a Catalogue,
    clock: &'a Clock,
    changed: &'a UnboundedSender<InstanceRef>,
}

/// All that wait for their gates, by the Prometheus that is asked about them.
fn waiting(catalogue: &Catalogue) -> HashMap<Server, Vec<Arc<Instance>>> {
    let mut by_server: HashMap<Server, Vec<Arc<Instance>>> = HashMap::new();
    for instance in catalogue.instances.state() {
        if is_waiting(&instance) && !of(&instance, catalogue).is_empty() {
            by_server.entry(server(&instance, catalogue)).or_default().push(instance);
        }
    }
    by_server
}

fn server(instance: &Instance, catalogue: &Catalogue) -> Server {
    let platform = inputs::placed_on(instance).and_then(|name| catalogue.platforms.get(&ObjectRef::new(name)))?;
    platform.spec.monitoring.as_ref()?.prometheus_url.clone()
}

/// Is it in a phase that its gates decide about?
fn is_waiting(instance: &Instance) -> bool {
    let upgrade = instance.status.as_ref().and_then(|status| status.upgrade.as_ref());
    upgrade.is_some_and(|upgrade| matches!(upgrade.phase, UpgradePhase::Verify | UpgradePhase::Soak))
}

/// Since when an Instance has been in its phase.
fn since(instance: &Instance) -> Option<Timestamp> {
    instance.status.as_ref()?.upgrade.as_ref().map(|upgrade| upgrade.since.0)
}

/// The gates of an Instance on its way.
fn of(instance: &Instance, catalogue: &Catalogue) -> Vec<Gate> {
    let Some(way) = instance.status.as_ref().and_then(|status| status.upgrade.as_ref()) else { return Vec::new() };
    let campaign = way.rollout.as_ref().and_then(|by| catalogue.campaigns.get(&ObjectRef::new(&by.campaign)));

    gates::of(campaign.as_deref(), way).to_vec()
}

async fn ask(gate: &Gate, instance: &Instance, server: &Server, is_silent: &AtomicBool, clock: &Clock) -> Gates {
    let since = since(instance).unwrap_or_else(|| clock.now());
    if let Some(check) = gate.health_check {
        return gates::checked(gate, check, instance, since, clock.now());
    }

    let promql = gate.promql.as_deref().unwrap_or_default();
    let namespace = names::workload_namespace(inputs::name_of(instance));
    let establishment = &instance.spec.establishment;
    let name = inputs::name_of(instance);
    let Some(question) = gates::question(gate, promql, &namespace, name, establishment, since, clock.now()) else {
        return gates::too_short(gate);
    };
    let answer = match server {
        None => Err("the Platform names no Prometheus: set spec.monitoring.prometheusUrl".to_owned()),
        Some(url) => answer(url, &question, is_silent).await,
    };
    gates::judge(gate, &question, &answer)
}

/// What a Prometheus answers. One that was silent once is not asked again in the same round.
async fn answer(url: &str, question: &Question, is_silent: &AtomicBool) -> Result<Vec<Series>, String> {
    let silence = || Err(format!("{url} did not answer in {} s", TIMEOUT.as_secs()));
    if is_silent.load(Ordering::Relaxed) {
        return silence();
    }
    let Ok(answer) = tokio::time::timeout(TIMEOUT, query(url, question)).await else {
        is_silent.store(true, Ordering::Relaxed);
        return silence();
    };
    answer
}

/// Asks a Prometheus for the samples of a range.
async fn query(url: &str, question: &Question) -> Result<Vec<Series>, String> {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", &question.query)
        .append_pair("start", &question.from.as_second().to_string())
        .append_pair("end", &question.until.as_second().to_string())
        .append_pair("step", &question.step.as_secs().to_string())
        .finish();
    let request = http::Request::post("/api/v1/query_range")
        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into_bytes())
        .map_err(|error| error.to_string())?;
    let answer: Value = client(url)?.request(request).await.map_err(|error| format!("{url}: {}", refusal(&error)))?;
    if answer["status"] != "success" {
        return Err(format!("{url}: {}", answer["error"].as_str().unwrap_or("no reason given")));
    }
    let series = answer["data"]["result"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(series.iter().map(|one| samples(&one["values"])).collect())
}

fn client(url: &str) -> Result<kube::Client, String> {
    let uri: http::Uri = url.parse().map_err(|error| format!("{url} is no address: {error}"))?;
    let mut config = kube::Config::new(uri);
    // It trusts nobody, as it speaks to nobody by TLS. Where nothing is said it looks for the machine's certificates, and
    // fails where there are none, as in the operator's image.
    config.root_cert = Some(Vec::new());
    kube::Client::try_from(config).map_err(|error| explained(&error))
}

/// Why there is no answer, in Prometheus's own words where it has some.
fn refusal(error: &kube::Error) -> String {
    let kube::Error::Api(status) = error else { return explained(error) };
    // What is no Status of Kubernetes is kept as it came.
    let body: Option<Value> = serde_json::from_str(&status.message).ok();
    let said = body.as_ref().and_then(|body| body["error"].as_str());
    said.map_or_else(|| format!("it answers with HTTP {}", status.code), ToOwned::to_owned)
}

fn samples(values: &Value) -> Series {
    let sample = |pair: &Value| {
        #[allow(clippy::cast_possible_truncation)] // seconds since 1970
        let time = pair[0].as_f64()?.round() as i64;
        Some((time, pair[1].as_str()?.parse().unwrap_or(f64::NAN)))
    };
    values.as_array().into_iter().flatten().filter_map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;
    use std::process::Command;

    #[tokio::test]
    async fn it_is_asked_where_the_machine_has_no_certificates() {
        const WITHOUT: &str = "GOTOCLOUD_TEST_WITHOUT_CERTIFICATES";
        if std::env::var_os(WITHOUT).is_some() {
            client("http://prometheus.monitoring:9090").unwrap();
            return;
        }
        // Where certificates are looked for is said in the environment, so that takes a process of its own.
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["gates::tests::it_is_asked_where_the_machine_has_no_certificates", "--exact"])
            .env(WITHOUT, "")
            .env("SSL_CERT_FILE", "/nowhere/certificates.pem")
            .env("SSL_CERT_DIR", "/nowhere")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[tokio::test]
    async fn a_prometheus_that_is_silent_is_waited_for_once_in_a_round() {
        // Whoever connects waits for ever: nobody accepts.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let now = Timestamp::now();
        let question =
            Question { query: "up".to_owned(), from: now, until: now, step: jiff::SignedDuration::from_secs(15) };
        let is_silent = AtomicBool::new(false);
        let begun = std::time::Instant::now();
        for _ in 0..20 {
            let said = answer(&url, &question, &is_silent).await.unwrap_err();
            assert!(said.contains("did not answer in 10 s"), "{said}");
        }
        assert!(begun.elapsed() < TIMEOUT * 2, "20 targets took {:?}", begun.elapsed());
    }

    #[test]
    fn a_refusal_is_told_in_prometheus_own_words_and_never_as_a_page() {
        let told = |body: &str, code: u16| {
            refusal(&kube::Error::Api(Status::failure(body, "Failed to parse error data").with_code(code).boxed()))
        };
        let body = r#"{"status":"error","errorType":"execution","error":"found duplicate series"}"#;
        assert_eq!(told(body, 422), "found duplicate series");
        assert_eq!(told("<html>Bad Gateway</html>", 502), "it answers with HTTP 502");
    }
}
