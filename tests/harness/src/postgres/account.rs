//! As whom does the server run, since PostgreSQL refuses to run as root?

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// The account PostgreSQL's programs run under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// The caller's own.
    Own,
    /// `nobody`, since the caller is root.
    Nobody { uid: u32, gid: u32 },
}

impl Account {
    pub fn choose() -> anyhow::Result<Self> {
        // Its owner is the user this process acts as.
        let uid = fs::metadata("/proc/self").context("cannot tell which user this is")?.uid();
        if uid != 0 {
            return Ok(Self::Own);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let fields = accounts.lines().find(|line| line.starts_with("nobody:")).map(|line| line.split(':'));
        let mut numbers = fields.into_iter().flatten().skip(2).map(str::parse);
        let (Some(Ok(uid)), Some(Ok(gid))) = (numbers.next(), numbers.next()) else {
            anyhow::bail!(
                "PostgreSQL refuses to run as root, and this machine has no account called nobody to run it as: run \
                 this as another user"
            );
        };
        Ok(Self::Nobody { uid, gid })
    }

    /// The command, run under this account.
    pub fn apply(self, command: &mut Command) -> &mut Command {
        match self {
            Self::Own => command,
            Self::Nobody { uid, gid } => command.uid(uid).gid(gid),
        }
    }

    /// Gives the file or folder to this account.
    pub fn give(self, path: &Path) -> anyhow::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Nobody { uid, gid } => std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .with_context(|| format!("cannot give {} to nobody", path.display())),
        }
    }

    /// Fails if this account cannot enter the folder that `path` stands in.
    pub fn check_reaches(self, path: &Path) -> anyhow::Result<()> {
        match self.barrier(path) {
            None => Ok(()),
            Some(barrier) => anyhow::bail!(
                "PostgreSQL refuses to run as root, and the account nobody, as which it runs instead, may not enter \
                 {}: choose a folder for {} that everybody may enter, such as one below /var/tmp",
                barrier.display(),
                path.display()
            ),
        }
    }

    /// Whether this account can enter the folder that `path` stands in.
    pub fn reaches(self, path: &Path) -> bool {
        self.barrier(path).is_none()
    }

    fn barrier(self, path: &Path) -> Option<&Path> {
        match self {
            Self::Own => None,
            Self::Nobody { .. } => path
                .ancestors()
                .skip(1)
                .find(|folder| fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 == 0)),
        }
    }
}
