//! What removals of earlier versions look like.

use super::{RemovalRecord, TokensEnded, What, decoded};

#[test]
fn a_removal_of_an_earlier_version_can_be_read() {
    let what = What::Mount { space: [7; 16] };
    let of = |tried| RemovalRecord { failures: 3, tried, ..RemovalRecord::new(what.clone()) };
    let first = postcard::to_stdvec(&(what.clone(), 3_u32)).expect("plain data");
    assert!(decoded(&first).expect("readable") == of(None));
    let tried = Some("a/creds/one/1".to_owned());
    let second = postcard::to_stdvec(&(what.clone(), 3_u32, tried.clone())).expect("plain data");
    assert!(decoded(&second).expect("readable") == of(tried.clone()));
    let now = RemovalRecord { tokens: TokensEnded::UpTo([0; 32]), without_plugin: true, ..of(tried) };
    assert!(decoded(&postcard::to_stdvec(&now).expect("plain data")).expect("readable") == now);
}
