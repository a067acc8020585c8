use bulkhead_model::request::OpenCeremonies;
use hyper::header::HeaderValue;

use super::*;

fn from(address: Option<&str>) -> Arc<Origin> {
    let address = address.map(|text| text.parse().expect("an address"));
    let open_ceremonies = OpenCeremonies { generate_root: true, rekey: false };
    Arc::new(Origin { address, port: 9, certificates: vec![vec![1]], open_metrics: true, open_ceremonies })
}

fn rules() -> Forwarded {
    Forwarded { authorized: vec![Network::parse("10.0.0.0/8").expect("one")], ..Forwarded::default() }
}

/// The client's address as text, or nothing where there is none; an error is a refusal.
fn client(rules: &Forwarded, peer: Option<&str>, headers: &[&str]) -> Result<String, ()> {
    let mut map = HeaderMap::new();
    for header in headers {
        map.append(FORWARDED_FOR, HeaderValue::from_str(header).expect("a value"));
    }
    let origin = rules.origin(&from(peer), &map).map_err(|_| ())?;
    assert_eq!((origin.port, origin.certificates.len(), origin.open_metrics), (9, 1, true));
    Ok(origin.address.map(|address| address.to_string()).unwrap_or_default())
}

#[test]
fn the_address_is_the_one_that_the_nearest_proxy_wrote_or_one_before_it() {
    let proxy = Some("10.0.0.1");
    for (skips, headers, expected) in [
        (0, &["1.2.3.4"][..], Ok("1.2.3.4")),
        (0, &["1.2.3.4, 5.6.7.8"], Ok("5.6.7.8")),
        (0, &["1.2.3.4", "5.6.7.8"], Ok("5.6.7.8")),
        (1, &["1.2.3.4, 5.6.7.8"], Ok("1.2.3.4")),
        (1, &["6.6.6.6, 1.2.3.4", "5.6.7.8"], Ok("1.2.3.4")),
        (1, &["1.2.3.4"], Err(())),
        (0, &["1.2.3.4:99"], Ok("1.2.3.4")),
        (0, &["2001:db8::7"], Ok("2001:db8::7")),
        (0, &["[2001:db8::7]"], Ok("2001:db8::7")),
        (0, &["[2001:db8::7]:99"], Ok("2001:db8::7")),
        (0, &["::ffff:1.2.3.4"], Ok("1.2.3.4")),
        (0, &["nonsense"], Err(())),
        (0, &["1.2.3.4,"], Err(())),
        (0, &[""], Err(())),
        (0, &["nonsense, 1.2.3.4"], Ok("1.2.3.4")),
        (0, &[], Ok("10.0.0.1")),
    ] {
        let rules = Forwarded { hop_skips: skips, ..rules() };
        assert_eq!(client(&rules, proxy, headers), expected.map(str::to_owned), "{headers:?}, {skips} skipped");
    }
}

#[test]
fn who_is_not_believed_has_the_address_that_it_connects_from_or_is_refused() {
    let strict = Forwarded { reject_not_authorized: true, ..rules() };
    for peer in [Some("11.0.0.1"), Some("::1"), None] {
        assert_eq!(client(&rules(), peer, &["1.2.3.4"]), Ok(peer.unwrap_or_default().to_owned()));
        assert_eq!(client(&strict, peer, &["1.2.3.4"]), Err(()));
        assert_eq!(client(&strict, peer, &[]), Ok(peer.unwrap_or_default().to_owned()));
    }
}

#[test]
fn a_header_may_be_asked_of_everybody() {
    let strict = Forwarded { reject_not_present: true, ..rules() };
    assert_eq!(client(&strict, Some("10.0.0.1"), &[]), Err(()));
    assert_eq!(client(&strict, Some("11.0.0.1"), &[]), Err(()));
    assert_eq!(client(&strict, Some("10.0.0.1"), &["1.2.3.4"]), Ok("1.2.3.4".to_owned()));
}
