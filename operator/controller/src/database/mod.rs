//! How does a database server get an instance's database and role?
//!
//! ```text
//!   Servers     one for each server: how many work there at a time, and whether it answers   mod.rs
//!      └─▶ connection    TLS, the administrator's login, what an error means                  connection.rs
//!             └─▶ work   the facts of the server, and the planner's statements sent to it     work.rs
//! ```
//!
//! Over TLS, checked against the Platform's certificate authority; with the administrator's credentials from a Secret
//! in the operator's namespace. Passwords never pass through an SQL text: the server is given their SCRAM verifier.
//! Nothing here decides whose a database is: see `gotocloud_planner::database`.

mod connection;
#[cfg(test)]
mod tests;
mod work;

use gotocloud_api::conditions::Reason;
use gotocloud_planner::{
    database::{Assured, Facts},
    instance::Failure,
    plan::DatabaseRequest,
    retry::ErrorClass,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most connections to one server at a time.
const CONNECTIONS: usize = 4;
/// Longest wait for one of them: whoever waits keeps others from being worked on. Where none comes, nobody else waits for
/// as long.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for all that is asked over a connection. To make a database takes a second or two.
const WORK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server that did not answer is not asked again: all who need it are told at once that it did not.
const DOWN_FOR: Duration = Duration::from_secs(10);

/// Who administers a database server.
#[derive(Clone)]
pub struct Administrator {
    /// Its role.
    pub username: String,
    /// Its password.
    pub password: String,
}

/// The database servers in use, by host and port. What one of them does or does not answer keeps nobody from another.
pub struct Servers {
    turns: usize,
    by_address: Mutex<HashMap<(String, u16), Arc<Server>>>,
}

/// One database server.
struct Server {
    turns: Semaphore,
    /// `None` while it answers.
    down: Mutex<Option<Down>>,
}

/// A server that did not answer, or gave nobody a turn.
struct Down {
    why: Failure,
    since: Instant,
    /// When it is asked again.
    until: Instant,
}

/// What to do with a database.
#[derive(Clone, Debug)]
pub enum Operation<'a> {
    /// See that database and role are there, with that password.
    Ensure {
        /// The role's password.
        password: &'a str,
    },
    /// Keep the data, but let nobody log in.
    Seal,
    /// Delete both.
    Clear,
    /// Ask for the facts of these names, and change nothing.
    Look {
        /// The names.
        names: &'a [String],
    },
}

/// What came of an operation.
#[derive(Debug)]
pub enum Carried {
    /// The database was made sure of.
    Assured(Assured),
    /// It was sealed or cleared; what is not the instance's own was left, as the sentence says.
    Left(Option<String>),
    /// The facts, by name.
    Seen(BTreeMap<String, Facts>),
}

impl Operation<'_> {
    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ensure { .. } => "ensure",
            Self::Seal => "seal",
            Self::Clear => "drop",
            Self::Look { .. } => "look",
        }
    }
}

impl Servers {
    /// For an operator that works on that many Instances at once: no server has more than half of them wait for it.
    pub fn new(concurrency: usize) -> Self {
        Self { turns: CONNECTIONS.min(concurrency / 2).max(1), by_address: Mutex::default() }
    }

    /// Carries out one operation.
    pub async fn carry_out(
        &self,
        request: &DatabaseRequest,
        administrator: &Administrator,
        operation: Operation<'_>,
    ) -> Result<Carried, Failure> {
        let server = self.of(request);
        server.answers()?;
        let _turn = server.turn(request).await?;

        let asked = async {
            let client = connection::administrate(request, administrator, "postgres").await?;
            let work = work::carry_out(&client, request, administrator, operation);
            match tokio::time::timeout(WORK_TIMEOUT, work).await {
                Ok(done) => done,
                Err(_) => Err(connection::unreachable(request, "no answer within half a minute")),
            }
        };
        let result = asked.await;
        server.note(result.as_ref().err());
        result
    }

    /// May the role log in to its database with that password? `None` if that cannot be told.
    pub async fn may_log_in(&self, request: &DatabaseRequest, password: &str) -> Option<bool> {
        let server = self.of(request);
        server.answers().ok()?;
        let _turn = server.turn(request).await.ok()?;
        connection::may_log_in(request, password).await
    }

    fn of(&self, request: &DatabaseRequest) -> Arc<Server> {
        let mut servers = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Server { turns: Semaphore::new(self.turns), down: Mutex::default() });
        Arc::clone(servers.entry((request.host.clone(), request.port)).or_insert_with(new))
    }
}

impl Server {
    fn down(&self) -> MutexGuard<'_, Option<Down>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses while the server is known not to answer. The first after that time tries it, for all others.
    fn answers(&self) -> Result<(), Failure> {
        match &mut *self.down() {
            Some(down) if Instant::now() < down.until => Err(down.why.clone()),
            Some(down) => {
                down.until = Instant::now() + DOWN_FOR;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Notes whether the server answered.
    fn note(&self, failure: Option<&Failure>) {
        let silent = failure.filter(|failure| failure.reason == Reason::DatabaseUnreachable);
        *self.down() = silent.map(|why| Down::now(why, DOWN_FOR));
    }

    /// Waits for a turn; none comes if the server was found not to answer meanwhile.
    async fn turn(&self, request: &DatabaseRequest) -> Result<SemaphorePermit<'_>, Failure> {
        let begun = Instant::now();
        let Ok(Ok(turn)) = tokio::time::timeout(TURN_TIMEOUT, self.turns.acquire()).await else {
            let busy = Failure {
                class: ErrorClass::Momentary,
                reason: Reason::DatabaseStarting,
                message: format!("{}:{} is busy with other databases; it is tried again", request.host, request.port),
            };
            *self.down() = Some(Down::now(&busy, TURN_TIMEOUT));
            return Err(busy);
        };

        match &*self.down() {
            Some(down) if down.since >= begun => Err(down.why.clone()),
            Some(_) | None => Ok(turn),
        }
    }
}

impl Down {
    fn now(why: &Failure, lasts: Duration) -> Self {
        let since = Instant::now();
        Self { why: why.clone(), since, until: since + lasts }
    }
}
