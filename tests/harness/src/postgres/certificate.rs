//! By what does a client know that it speaks to this server?

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::account::Account;

/// The authority's certificate, which clients are given.
pub(super) const AUTHORITY: &str = "ca.pem";
/// The server's certificate.
pub(super) const SERVER: &str = "server.pem";
/// The server's key.
pub(super) const KEY: &str = "server-key.pem";

/// Makes an authority, and a certificate of the server for `localhost` and 127.0.0.1. The authority's key is thrown
/// away: it signs nothing else.
pub(super) fn write(folder: &Path, account: Account) -> anyhow::Result<()> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.distinguished_name.push(DnType::CommonName, "Go-to-Cloud test authority");
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let mut server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    server.distinguished_name.push(DnType::CommonName, "localhost");
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = KeyPair::generate()?;
    let server_pem = server.signed_by(&server_key, &issuer)?.pem();

    for (name, content, mode) in
        [(AUTHORITY, authority_pem, 0o644), (SERVER, server_pem, 0o644), (KEY, server_key.serialize_pem(), 0o600)]
    {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
            .with_context(|| format!("cannot protect {}", path.display()))?;
        account.give(&path)?;
    }
    Ok(())
}
