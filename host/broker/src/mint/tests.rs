use super::*;

#[test]
fn a_period_is_held_to_the_longest_life_and_then_to_what_is_left_of_it() {
    let asked = Lifetime { ttl_secs: 0, max_secs: 36_000, period_secs: 7_200, explicit_max_secs: 600 };
    let (granted, warnings) = lifetime(asked, 3_600, 2);
    assert_eq!(granted, 598);
    let told = [
        "period of \"2h\" exceeded the effective max_ttl of \"10m\"; period value is capped accordingly",
        "TTL of \"10m\" exceeded the effective max_ttl of \"9m58s\"; TTL value is capped accordingly",
    ];
    assert_eq!(warnings, told);
}

#[test]
fn a_period_alone_begins_anew_however_long_the_token_has_lived() {
    let asked = Lifetime { ttl_secs: 60, max_secs: 36_000, period_secs: 7_200, explicit_max_secs: 0 };
    assert_eq!(lifetime(asked, 3_600, 1_000_000), (7_200, Vec::new()));
}

#[test]
fn lifetimes_are_told_without_units_of_which_there_are_none() {
    let told = [0, 5, 60, 1_200, 3_600, 3_605, 5_400, 5_405, 36_000, 2_764_800].map(short_go);
    assert_eq!(told, ["0s", "5s", "1m", "20m", "1h", "1h5s", "1h30m", "1h30m5s", "10h", "768h"]);
}

#[test]
fn nothing_is_left_past_the_longest_life() {
    let asked = Lifetime { ttl_secs: 60, max_secs: 600, period_secs: 0, explicit_max_secs: 0 };
    assert_eq!(lifetime(asked, 3_600, 600).0, 0);
}
