use super::*;

/// A connection opened so long ago.
fn opened_ago(secs: u64) -> Pace {
    let pace = Arc::into_inner(Pace::new()).expect("nobody else has it");
    Pace { opened: Instant::now() - Duration::from_secs(secs), ..pace }
}

fn is_over(pace: &Pace) -> bool {
    let limits = ListenerLimits {
        header_max: Duration::from_secs(10),
        idle_max: Duration::from_secs(300),
        ..ListenerLimits::default()
    };
    pace.is_over(&limits)
}

#[test]
fn a_connection_without_a_first_byte_has_the_time_of_a_header() {
    assert!(!is_over(&opened_ago(9)));
    assert!(is_over(&opened_ago(10)));
}

#[test]
fn the_first_header_counts_from_the_opening() {
    let pace = opened_ago(9);
    pace.bytes_came(b"G");
    assert!(!is_over(&pace));
    let pace = opened_ago(11);
    pace.bytes_came(b"G");
    assert!(is_over(&pace));
}

#[test]
fn a_later_header_counts_from_its_first_byte() {
    let pace = opened_ago(100);
    pace.request_began();
    pace.request_ended();
    pace.bytes_came(b"G");
    assert!(!is_over(&pace));
}

#[test]
fn a_request_at_hand_and_the_idle_time_behind_it_are_no_header() {
    let pace = opened_ago(100);
    pace.request_began();
    assert!(!is_over(&pace), "a request has a deadline of its own");
    pace.request_ended();
    assert!(!is_over(&pace));
    let mut long_idle = opened_ago(300);
    long_idle.phase = AtomicU64::new(IDLE);
    assert!(is_over(&long_idle));
}

#[test]
fn an_answer_sent_piece_by_piece_may_take_long_but_not_pause() {
    let pace = Pace {
        opened: Instant::now() - Duration::from_secs(1000),
        phase: AtomicU64::new(SENDING),
        first_line: AtomicU8::new(ALL),
        has_fragment: AtomicBool::new(false),
    };
    assert!(is_over(&pace));
    pace.piece_sent();
    assert!(!is_over(&pace));
}
