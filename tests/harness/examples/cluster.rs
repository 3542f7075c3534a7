//! Starts a cluster and says how long that took: `cargo run -p gotocloud-harness --example cluster -- NAME [down]`.

use std::time::Instant;

use gotocloud_harness::{Cluster, ClusterSpec, Terminal};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "gotocloud".to_owned());
    let since = Instant::now();
    if arguments.next().as_deref() == Some("down") {
        Cluster::down(&name, &Terminal)?;
    } else {
        let cluster = Cluster::up(&ClusterSpec::new(&name).audit(), &Terminal)?;
        println!("export KUBECONFIG={}", cluster.kubeconfig_path().display());
    }
    eprintln!("{:.1} s", since.elapsed().as_secs_f64());
    Ok(())
}
