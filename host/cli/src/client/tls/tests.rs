use super::*;

/// As hyper wraps what came of the connection.
#[derive(Debug, thiserror::Error)]
#[error("connection error")]
struct Outer(#[source] Error);

fn alerted(alert: AlertDescription) -> Error {
    Error::new(ErrorKind::InvalidData, rustls::Error::AlertReceived(alert))
}

#[test]
fn a_refused_certificate_is_found_however_deep_it_stands() {
    let required = "certificate required";
    assert_eq!(refused_certificate(&alerted(AlertDescription::CertificateRequired)), Some(required));
    assert_eq!(refused_certificate(&Outer(alerted(AlertDescription::CertificateRequired))), Some(required));
    let bare = rustls::Error::AlertReceived(AlertDescription::UnknownCA);
    assert_eq!(refused_certificate(&bare), Some("unknown certificate authority"));
}

#[test]
fn other_faults_are_of_no_client_certificate() {
    assert_eq!(refused_certificate(&Outer(alerted(AlertDescription::HandshakeFailure))), None);
    assert_eq!(refused_certificate(&Outer(Error::from(ErrorKind::ConnectionReset))), None);
    let own = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    assert_eq!(refused_certificate(&Error::new(ErrorKind::InvalidData, own)), None);
}
