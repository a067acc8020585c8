use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::jws::{JwsError, Unverified};
use super::{Algorithm, Pair, jwk, jws};

fn pair(algorithm: Algorithm) -> Pair {
    algorithm.pair().expect("a pair can be made")
}

fn bytes(jwk: &Value, member: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(jwk[member].as_str().expect("a text")).expect("base64url")
}

#[test]
fn what_a_key_signed_it_alone_verifies_whatever_the_algorithm() {
    for algorithm in Algorithm::ALL {
        let (pair, other) = (pair(algorithm), pair(algorithm));
        let text = jws::signed((algorithm, "id"), &pair.private, b"{}").expect("it signs");
        let parsed = Unverified::parse(&text).expect("three parts");
        assert_eq!((parsed.algorithm, &*parsed.key_id), (algorithm, "id"));
        assert_eq!(parsed.payload(&pair.public), Some(&b"{}"[..]), "{algorithm:?}");
        assert_eq!(parsed.payload(&other.public), None, "{algorithm:?}");
        let changed = text.replace(&URL_SAFE_NO_PAD.encode("{}"), &URL_SAFE_NO_PAD.encode("[]"));
        assert_eq!(Unverified::parse(&changed).expect("three parts").payload(&pair.public), None, "{algorithm:?}");
    }
}

#[test]
fn a_public_key_is_shown_as_jwk_has_it() {
    let shown = |algorithm| {
        let pair = pair(algorithm);
        (jwk::shown(algorithm, "id", &pair.public).expect("a key of its own"), pair)
    };
    for algorithm in Algorithm::ALL {
        let (jwk, _) = shown(algorithm);
        let common = ["use", "kid", "alg"].map(|member| jwk[member].as_str().expect("a text"));
        assert_eq!(common, ["sig", "id", algorithm.name()]);
    }
    let (rsa, signer) = shown(Algorithm::Rs256);
    let (n, e) = (bytes(&rsa, "n"), bytes(&rsa, "e"));
    assert_eq!((rsa["kty"].as_str(), n.len(), &*e), (Some("RSA"), 256, &[1, 0, 1][..]));
    let signature = Algorithm::Rs256.sign(&signer.private, b"text").expect("it signs");
    let verified = RsaPublicKeyComponents { n: &n, e: &e }.verify(&RSA_PKCS1_2048_8192_SHA256, b"text", &signature);
    assert!(verified.is_ok(), "the numbers are those of the key");
    for (algorithm, curve, len) in
        [(Algorithm::Es256, "P-256", 32), (Algorithm::Es384, "P-384", 48), (Algorithm::Es512, "P-521", 66)]
    {
        let (ec, signer) = shown(algorithm);
        assert_eq!((ec["kty"].as_str(), ec["crv"].as_str()), (Some("EC"), Some(curve)));
        let (x, y) = (bytes(&ec, "x"), bytes(&ec, "y"));
        assert_eq!((x.len(), y.len()), (len, len));
        assert_eq!([&[4], &*x, &*y].concat(), signer.public);
    }
    let (ed, signer) = shown(Algorithm::EdDsa);
    assert_eq!((ed["kty"].as_str(), ed["crv"].as_str()), (Some("OKP"), Some("Ed25519")));
    assert_eq!(bytes(&ed, "x"), signer.public);
}

#[test]
fn what_is_no_signed_text_is_told_why() {
    let unsigned = format!("{}.e30.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    for (text, why) in [
        ("", JwsError::Parts),
        ("a.b", JwsError::Parts),
        ("a.b.c.d", JwsError::Parts),
        ("!.b.c", JwsError::Base64),
        ("MQ.e30.e30", JwsError::Header),
        ("e30.e30.e30", JwsError::Algorithm(String::new())),
        (&unsigned, JwsError::Algorithm("none".into())),
    ] {
        assert_eq!(Unverified::parse(text).err(), Some(why), "{text}");
    }
}

#[tokio::test]
async fn as_many_pairs_are_made_as_are_wanted_and_none_twice() {
    let made = super::pairs(Algorithm::EdDsa, 2).await.expect("pairs can be made");
    assert_eq!(made.len(), 2);
    assert_ne!(made[0].public, made[1].public);
}
