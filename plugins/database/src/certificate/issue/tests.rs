//! Certificates as they are read back. Whether they are signed, and let somebody in, is asked of a real database.

use bulkhead_sdk::bench::within;
use x509_cert::der::asn1::OctetString;

use super::*;

/// How long the authority of [`authority`] lives, in seconds.
pub(super) const LIFE_SECS: u64 = 30 * 24 * 3600;

/// An authority that signs itself.
pub(super) struct Root {
    pub(super) name: Name,
    pub(super) is_authority: bool,
    /// What it says its key is for, if anything.
    pub(super) usage: Option<KeyUsages>,
}

impl BuilderProfile for Root {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.name.clone()
    }

    fn build_extensions(
        &self,
        _own: SubjectPublicKeyInfoRef<'_>,
        _issuer: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let usage = self.usage.map(|usage| KeyUsage(usage.into()).to_extension(tbs.subject(), &[])).transpose()?;
        let extensions = [
            BasicConstraints { ca: self.is_authority, path_len_constraint: None }.to_extension(tbs.subject(), &[])?,
            SubjectKeyIdentifier(OctetString::new(*b"its own id")?).to_extension(tbs.subject(), &[])?,
        ];
        Ok(extensions.into_iter().chain(usage).collect())
    }
}

/// A certificate that was issued, read.
pub(crate) fn read(pem: &str) -> Certificate {
    Certificate::from_der(&unarmoured(pem).unwrap()).unwrap()
}

const KEYS: [&str; 5] = ["rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"];

#[test]
fn a_certificate_says_whom_it_lets_in_until_when_and_by_whom() {
    for (of, ca) in KEYS.iter().flat_map(|of| KEYS.map(|ca| (of, ca))) {
        let (issued, public, root) = within(|cx| {
            let (root, key) = authority(cx, ca, true);
            let leaf = KeyPair::generate(of).unwrap();
            let public = leaf.public_key_der().unwrap();
            let authority = Authority::read(&root, KeyPair::from_pem(key.expose()).unwrap(), 256).unwrap();
            (authority.issue(cx, "ünusual, \"name\"", &public, 1_767_229_205_999).unwrap().0, public, read(&root))
        });
        let issued = read(&issued);
        let tbs = issued.tbs_certificate();
        assert_eq!(tbs.issuer(), root.tbs_certificate().subject());
        assert_eq!(tbs.subject_public_key_info().to_der().unwrap(), public);
        let (begin, end) = (tbs.validity().not_before, tbs.validity().not_after);
        assert_eq!(
            (begin.to_string(), end.to_string()),
            ("2025-12-31T23:59:30Z".into(), "2026-01-01T01:00:05Z".into())
        );
        let name: Vec<_> = tbs.subject().iter().map(|part| (part.oid, part.value.value().to_vec())).collect();
        assert_eq!(name, [(COMMON_NAME, "ünusual, \"name\"".as_bytes().to_vec())]);
        let (is_critical, usage) = tbs.get_extension::<KeyUsage>().unwrap().unwrap();
        assert!(is_critical && usage.digital_signature() && !usage.key_cert_sign());
        assert_eq!(tbs.get_extension::<ExtendedKeyUsage>().unwrap().unwrap().1.0, [CLIENT_AUTH]);
        assert!(tbs.get_extension::<BasicConstraints>().unwrap().is_none());
        let by = tbs.get_extension::<AuthorityKeyIdentifier>().unwrap().unwrap().1;
        assert_eq!(by.key_identifier.unwrap().as_bytes(), b"its own id");
        assert_eq!(issued.signature_algorithm(), tbs.signature());
    }
}

#[test]
fn serial_numbers_are_random_and_above_zero() {
    let serials: Vec<Vec<u8>> = within(|cx| {
        let (root, key) = authority(cx, "ed25519", true);
        let one = || {
            let authority = Authority::read(&root, KeyPair::from_pem(key.expose()).unwrap(), 256).unwrap();
            let public = KeyPair::generate("ed25519").unwrap().public_key_der().unwrap();
            read(&authority.issue(cx, "a", &public, 2_000_000_000_000).unwrap().0)
        };
        (0..20).map(|_| one().tbs_certificate().serial_number().as_bytes().to_vec()).collect()
    });
    assert!(serials.iter().all(|serial| serial.len() == 16 && (0x40..0x80).contains(&serial[0])));
    let mut different = serials.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), serials.len());
}

#[test]
fn what_is_no_authority_or_has_another_key_does_not_sign() {
    within(|cx| {
        let (root, key) = authority(cx, "ecdsa-p256", true);
        let (other, _) = authority(cx, "ecdsa-p256", true);
        let (leaf, leaf_key) = authority(cx, "ecdsa-p256", false);
        for (certificate, key, told) in [
            (other.as_str(), &key, "ca_private_key is not the key of ca_cert"),
            (leaf.as_str(), &leaf_key, "the given certificate is not marked for CA use"),
            ("", &key, "ca_cert is no certificate in PEM"),
            (&*root.replace("BEGIN CERTIFICATE", "BEGIN KEY"), &key, "ca_cert is no certificate in PEM"),
            (&*pem("CERTIFICATE", b"rubbish"), &key, "ca_cert cannot be read"),
            (&*pem("CERTIFICATE", &[0x30; CA_BYTES_MAX]), &key, "ca_cert is no certificate in PEM"),
        ] {
            let read = Authority::read(certificate, KeyPair::from_pem(key.expose()).unwrap(), 256);
            let Err(Error::InvalidRequest(text)) = read else { panic!("{told}") };
            assert_eq!(text, told);
        }
        let chain = format!("text before\n{root}{other}");
        assert!(Authority::read(&chain, KeyPair::from_pem(key.expose()).unwrap(), 256).is_ok());
    });
}

/// An authority that says what its key is for, and from when to when it is one, in seconds from now.
fn special(cx: &Cx, usage: Option<KeyUsages>, (begins, ends): (i64, i64)) -> Result<Authority> {
    let key = KeyPair::generate("ed25519").unwrap().private_key_pem().unwrap();
    let pair = || KeyPair::from_pem(key.expose());
    let signer = Signer::new(pair()?, 256)?;
    let at = |secs| (cx.now_ms() / 1000).checked_add_signed(secs).unwrap();
    let profile = Root { name: named("Special").unwrap(), is_authority: true, usage };
    let root = signer.sign(cx, profile, &signer.public.0, (at(begins), at(ends)))?;
    Authority::read(&pem("CERTIFICATE", &root), pair()?, 256)
}

#[test]
fn an_authority_whose_key_is_for_something_else_does_not_sign() {
    within(|cx| {
        let read = |usage| special(cx, usage, (0, 3600)).map(|_| ());
        let Err(Error::InvalidRequest(text)) = read(Some(KeyUsages::CRLSign)) else { panic!("it is taken") };
        assert_eq!(text, "the key of the given certificate is not marked to sign certificates");
        read(Some(KeyUsages::KeyCertSign)).unwrap();
        read(None).unwrap();
    });
}

#[test]
fn no_certificate_outlives_its_authority_or_is_issued_out_of_its_time() {
    within(|cx| {
        let public = KeyPair::generate("ed25519").unwrap().public_key_der().unwrap();
        let issue = |span, ends_secs: u64| {
            special(cx, None, span).unwrap().issue(cx, "a", &public, cx.now_ms() + ends_secs * 1000)
        };
        for (ends_secs, expected, told) in
            [(60, "2026-01-01T00:01:00Z", 60_000), (7200, "2026-01-01T01:00:00Z", 3_600_000)]
        {
            let (pem, ends_ms) = issue((0, 3600), ends_secs).unwrap();
            assert_eq!(read(&pem).tbs_certificate().validity().not_after.to_string(), expected);
            assert_eq!(ends_ms - cx.now_ms(), told);
        }
        issue((-60, 0), 60).unwrap();
        for span in [(-60, -1), (1, 3600)] {
            let Err(Error::InvalidRequest(text)) = issue(span, 60) else { panic!("{span:?}") };
            assert_eq!(text, "ca_cert is not valid at this time");
        }
    });
}

#[test]
fn a_certificate_that_is_cut_or_changed_anywhere_is_refused_or_read_and_never_a_fault_of_ours() {
    within(|cx| {
        let (root, key) = authority(cx, "ed25519", true);
        let der = unarmoured(&root).unwrap();
        let read = |der: &[u8]| {
            let pair = KeyPair::from_pem(key.expose()).unwrap();
            Authority::read(&pem("CERTIFICATE", der), pair, 256).map(|_| ())
        };
        for cut in 0..der.len() {
            assert!(read(&der[..cut]).is_err(), "{cut}");
        }
        for place in 0..der.len() {
            for value in [0, 1, 0x7f, 0x80, 0x82, 0xff] {
                let mut changed = der.clone();
                changed[place] = value;
                let _ = read(&changed);
            }
        }
    });
}
