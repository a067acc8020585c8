use std::time::Duration;

use super::*;

/// A certificate that signs itself, for 127.0.0.1.
fn certificate(is_authority: bool, edit: impl FnOnce(&mut rcgen::CertificateParams)) -> CertificateDer<'static> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut asked = rcgen::CertificateParams::new(["127.0.0.1".to_owned(), "a.example".to_owned()]).expect("names");
    if is_authority {
        asked.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    edit(&mut asked);
    asked.self_signed(&key).expect("a certificate").der().clone()
}

/// What becomes of a server with this certificate and name, where the user named that one.
fn verify(named: &CertificateDer<'static>, shown: &CertificateDer<'_>, name: &str) -> Result<(), String> {
    let mut roots = Roots::default();
    roots.name(named.clone()).expect("it can be read");
    verify_with(roots, shown, name)
}

fn verify_with(roots: Roots, shown: &CertificateDer<'_>, name: &str) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let name = ServerName::try_from(name).expect("a name");
    // In 2026.
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_790_000_000));
    let verified = roots.verifier(&provider).verify_server_cert(shown, &[], &name, &[], now);
    verified.map(|_| ()).map_err(|error| handshake_fault(&io::Error::other(error)))
}

#[test]
fn an_authority_that_is_trusted_may_be_the_server_itself() {
    let authority = certificate(true, |_| {});
    assert_eq!(verify(&authority, &authority, "127.0.0.1"), Ok(()));
    assert_eq!(verify(&authority, &authority, "a.example"), Ok(()));
    let plain = certificate(false, |_| {});
    assert_eq!(verify(&plain, &plain, "127.0.0.1"), Ok(()));
}

#[test]
fn an_authority_of_the_machine_vouches_for_servers_and_is_none() {
    let authority = certificate(true, |_| {});
    let mut roots = Roots::default();
    roots.add(authority.clone()).expect("it can be read");
    let fault = verify_with(roots, &authority, "127.0.0.1").expect_err("nobody named it");
    assert!(fault.starts_with("failed to verify certificate: x509: certificate of an authority"), "{fault}");
}

#[test]
fn an_authority_that_is_for_something_else_is_no_server() {
    use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, CodeSigning, ServerAuth};
    let of = |usages: &[rcgen::ExtendedKeyUsagePurpose]| {
        let authority = certificate(true, |asked| asked.extended_key_usages = usages.to_vec());
        verify(&authority, &authority, "127.0.0.1")
    };
    assert_eq!(of(&[ServerAuth]), Ok(()));
    assert_eq!(of(&[ClientAuth, ServerAuth]), Ok(()));
    for other in [&[ClientAuth][..], &[CodeSigning], &[ClientAuth, CodeSigning]] {
        let fault = of(other).expect_err("it says what it is for");
        assert!(fault.starts_with("failed to verify certificate: x509: certificate of an authority"), "{fault}");
    }
}

#[test]
fn its_name_and_its_time_hold_all_the_same() {
    let says = |what: &str| Err(format!("failed to verify certificate: x509: {what}"));
    let authority = certificate(true, |_| {});
    assert_eq!(
        verify(&authority, &authority, "127.0.0.2"),
        says("certificate is valid for 127.0.0.1, a.example, not 127.0.0.2")
    );
    let past = certificate(true, |asked| asked.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert_eq!(verify(&past, &past, "127.0.0.1"), says("certificate has expired or is not yet valid"));
    let future = certificate(true, |asked| asked.not_before = rcgen::date_time_ymd(2040, 1, 1));
    assert_eq!(verify(&future, &future, "127.0.0.1"), says("certificate has expired or is not yet valid"));
}

/// A server's certificate that somebody signed whom nobody named.
fn signed(edit: impl FnOnce(&mut rcgen::CertificateParams)) -> CertificateDer<'static> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "somebody");
    let issuer = rcgen::Issuer::new(authority, key);
    let mut asked = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    edit(&mut asked);
    let own = rcgen::KeyPair::generate().expect("a key");
    asked.signed_by(&own, &issuer).expect("a certificate").der().clone()
}

#[test]
fn a_server_that_is_named_needs_nobody_to_vouch_for_it() {
    let server = signed(|_| {});
    assert_eq!(verify(&server, &server, "127.0.0.1"), Ok(()));
    let says = |what: &str| Err(format!("failed to verify certificate: x509: {what}"));
    let unknown = says("certificate signed by unknown authority");
    assert_eq!(verify(&server, &signed(|_| {}), "127.0.0.1"), unknown, "it is another one");
    let mut roots = Roots::default();
    roots.add(server.clone()).expect("it can be read");
    assert_eq!(verify_with(roots, &server, "127.0.0.1"), unknown, "nobody named it");
    assert_eq!(verify(&server, &server, "127.0.0.2"), says("certificate is valid for 127.0.0.1, not 127.0.0.2"));
    let past = signed(|asked| asked.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert_eq!(verify(&past, &past, "127.0.0.1"), says("certificate has expired or is not yet valid"));
    let client = signed(|asked| asked.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth]);
    assert!(verify(&client, &client, "127.0.0.1").is_err(), "it is a client's");
}

#[test]
fn no_other_authority_is_believed() {
    let (trusted, shown) = (certificate(true, |_| {}), certificate(true, |_| {}));
    let fault = verify(&trusted, &shown, "127.0.0.1").expect_err("it is another one");
    assert!(fault.starts_with("failed to verify certificate: x509: certificate of an authority"), "{fault}");
    // With no name of its own: nobody's to have signed.
    let nameless = certificate(false, |asked| asked.distinguished_name = rcgen::DistinguishedName::new());
    let fault = verify(&trusted, &nameless, "127.0.0.1").expect_err("nobody vouches for it");
    assert_eq!(fault, "failed to verify certificate: x509: certificate signed by unknown authority");
}
