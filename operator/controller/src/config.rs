//! How is the operator told what to do?

use clap::{Parser, ValueEnum};
use std::{net::SocketAddr, path::PathBuf};

/// The Go-to-Cloud operator. Every option can be given by its environment variable.
#[derive(Clone, Debug, Parser)]
#[command(name = "gotocloud-operator", version)]
pub struct Config {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Namespace of the operator: of its Lease, and of the Secrets with the database servers' administrators.
    #[arg(long, env = "GOTOCLOUD_NAMESPACE", default_value = "gotocloud-system", value_parser = dns_label)]
    pub namespace: String,

    /// Who this process is, among those that compete for the Lease.
    #[arg(long, env = "GOTOCLOUD_POD_NAME")]
    pub pod_name: Option<String>,

    /// The operator's service account, in its namespace. The operator binds it to --binding-cluster-role in each
    /// namespace it makes. Leave it out when running with a person's rights.
    #[arg(long, env = "GOTOCLOUD_SERVICE_ACCOUNT")]
    pub service_account: Option<String>,

    /// `ClusterRole` that holds what the operator may do in a namespace it made.
    #[arg(long, env = "GOTOCLOUD_BINDING_CLUSTER_ROLE", default_value = "gotocloud-instance")]
    pub binding_cluster_role: String,

    /// Address that answers /livez, /readyz and /metrics.
    #[arg(long, env = "GOTOCLOUD_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Let only one of several processes act at a time.
    #[arg(long, env = "GOTOCLOUD_LEADER_ELECTION", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_election: bool,

    /// How many Instances are worked on at once.
    #[arg(long, env = "GOTOCLOUD_CONCURRENCY", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub concurrency: u16,

    /// Namespaces in which Instances count, separated by commas. None: any.
    #[arg(long, env = "GOTOCLOUD_HUBS", value_delimiter = ',', value_parser = dns_label)]
    pub hubs: Vec<String>,

    /// Form of the log.
    #[arg(long, env = "GOTOCLOUD_LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// A file with the moment (RFC 3339) that campaigns take for the present: for replays of past years.
    #[arg(long, hide = true)]
    pub clock_file: Option<PathBuf>,

    /// Share of the fleet's objects, in percent, that may be removed at once without a person's word.
    #[arg(long, env = "GOTOCLOUD_REMOVAL_LIMIT_PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub removal_limit_percent: u8,
}

impl Config {
    /// Do Instances of that namespace count?
    pub fn is_hub(&self, namespace: &str) -> bool {
        self.hubs.is_empty() || self.hubs.iter().any(|hub| hub == namespace)
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum Command {
    /// Watch, plan and apply, until told to stop. The default.
    Run,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A JSON object a line, for machines.
    Json,
    /// Coloured text, for people.
    Pretty,
}

fn dns_label(text: &str) -> Result<String, String> {
    let valid = !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if valid {
        Ok(text.to_owned())
    } else {
        Err("it is not a namespace: lower-case letters, digits and - only".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_settings_are_refused_with_a_sentence() {
        for (arguments, hint) in [
            (["op", "--namespace=Go To"], "it is not a namespace"),
            (["op", "--hubs=fleet,My Hub"], "it is not a namespace"),
            (["op", "--concurrency=0"], "0 is not in 1..=512"),
            (["op", "--removal-limit-percent=0"], "0 is not in 1..=100"),
            (["op", "--listen=here"], "invalid socket address"),
        ] {
            let message = Config::try_parse_from(arguments).unwrap_err().to_string();
            assert!(message.contains(hint), "{message}");
        }
    }

    #[test]
    fn instances_count_in_the_named_hubs_or_anywhere() {
        let named = Config::try_parse_from(["op", "--hubs=fleet,trials"]).unwrap();
        assert!(named.is_hub("fleet") && named.is_hub("trials") && !named.is_hub("default"));
        assert!(Config::try_parse_from(["op"]).unwrap().is_hub("default"));
    }
}
