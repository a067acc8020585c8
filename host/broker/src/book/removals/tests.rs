//! What removals of earlier versions look like.

use super::{RemovalRecord, What, decoded};

#[test]
fn a_removal_from_before_it_was_kept_which_leases_were_tried_can_be_read() {
    let what = What::Mount { space: [7; 16] };
    let before = postcard::to_stdvec(&(what.clone(), 3_u32)).expect("plain data");
    assert!(decoded(&before).expect("readable") == RemovalRecord { what: what.clone(), failures: 3, tried: None });
    let now = RemovalRecord { what, failures: 3, tried: Some("a/creds/one/1".into()) };
    assert!(decoded(&postcard::to_stdvec(&now).expect("plain data")).expect("readable") == now);
}
