//! TLS with certificates on both sides.

use std::sync::Arc;
use std::time::Duration;

use kenshin::crypto::digest::sha256;
use kenshin::net::mbus::tls::{TlsError, TlsFiles, acceptor};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::world::{Settings, World, line};

/// An authority, and what it signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Signed {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn sign(&self, name: &str) -> Signed {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Signed {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Signed {
    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

/// Says lines on a TLS connection, and hears as many. None if there is no connection.
fn talk(
    world: &World,
    authority: &Authority,
    gateway: Option<&Signed>,
    versions: &[&'static SupportedProtocolVersion],
    lines: &[&str],
) -> Option<Vec<String>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_protocol_versions(versions).unwrap();
    let config = config.with_root_certificates(roots);
    let config = match gateway {
        None => config.with_no_client_auth(),
        Some(gateway) => {
            let key = PrivateKeyDer::from_pem_slice(gateway.key.as_bytes()).unwrap();
            config
                .with_client_auth_cert(vec![gateway.der()], key)
                .unwrap()
        }
    };
    let address = world.tls.unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("kenshin.test").unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let mut stream = BufReader::new(connecting.await.ok()?);
        let mut heard = Vec::new();
        for line in lines {
            stream.write_all(line.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            let mut answer = String::new();
            let reading = stream.read_line(&mut answer);
            let read = tokio::time::timeout(Duration::from_secs(10), reading).await;
            if read.unwrap().ok()? == 0 {
                return None;
            }
            heard.push(answer.trim_end().to_owned());
        }
        Some(heard)
    })
}

#[test]
fn a_gateway_is_known_by_its_certificate_over_tls_and_nobody_gets_in_without_one() {
    const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    let dir = tempfile::tempdir().unwrap();
    let (authority, strange_authority) = (Authority::new(), Authority::new());
    let server = authority.sign("kenshin.test");
    let acceptor = acceptor(TlsFiles {
        certificates: server.certificate.as_bytes(),
        key: server.key.as_bytes(),
        authorities: authority.0.pem().as_bytes(),
    });
    let settings = Settings {
        tls: Some(acceptor.unwrap()),
        ..Settings::default()
    };
    let world = World::with(dir.path(), settings);
    let (vault, other) = (authority.sign("vault"), authority.sign("other"));
    *world.registry.certificate.lock() = Some(sha256(&vault.der()));
    let (first, second) = (line(7, 1, 1), line(7, 1, 2));
    let heard = talk(&world, &authority, Some(&vault), TLS13, &[&first, &first]);
    assert_eq!(heard.unwrap(), ["OK 1", "OK 2 duplicate"]);
    assert_eq!(world.kept()[0].gateway, "vault");
    // Signed, and not registered.
    let heard = talk(&world, &authority, Some(&other), TLS13, &[&second]);
    assert!(heard.unwrap()[0].starts_with("ERR 0 unknown_gateway "));
    let token = ["TOKEN roof-token\n", second.as_str()];
    let heard = talk(&world, &authority, Some(&other), TLS13, &token);
    assert_eq!(heard.unwrap(), ["OK 0", "OK 1"]);
    // Not signed by whom the server trusts, or none at all.
    let strange = strange_authority.sign("vault");
    let third = line(7, 1, 3);
    for gateway in [Some(&strange), None] {
        let heard = talk(&world, &authority, gateway, TLS13, &[&third]);
        assert_eq!(heard, None);
    }
    assert_eq!(world.counters().tls_failures, 2);
    assert_eq!(world.kept().len(), 2);
    // Whoever speaks no TLS.
    let mut clear = super::world::Line::new(world.tls.unwrap());
    clear.say(&third);
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut clear.stream, &mut rest).ok();
    assert_eq!(world.kept().len(), 2);
}

#[test]
fn files_that_hold_something_else_are_refused_by_name() {
    let authority = Authority::new();
    let server = authority.sign("kenshin.test");
    let (certificates, key) = (server.certificate.as_bytes(), server.key.as_bytes());
    let authorities = authority.0.pem();
    let good = TlsFiles {
        certificates,
        key,
        authorities: authorities.as_bytes(),
    };
    assert!(acceptor(good).is_ok());
    let wrong = |files: TlsFiles<'_>| acceptor(files).err().unwrap();
    let files = TlsFiles {
        certificates: key,
        ..good
    };
    assert!(matches!(wrong(files), TlsError::Certificate));
    let files = TlsFiles {
        key: certificates,
        ..good
    };
    assert!(matches!(wrong(files), TlsError::Key));
    let files = TlsFiles {
        authorities: b"",
        ..good
    };
    assert!(matches!(wrong(files), TlsError::Authorities));
    let other = authority.sign("other");
    let files = TlsFiles {
        key: other.key.as_bytes(),
        ..good
    };
    assert!(matches!(wrong(files), TlsError::Config(_)));
}
