use std::io::Read;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::Instant;

use super::Leaving;
use crate::limits::SNAPSHOT_PIECE_BYTES;

/// So many bytes, and a count of those that were read.
struct Many(usize);

impl Read for Many {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(self.0);
        self.0 -= count;
        Ok(count)
    }
}

#[tokio::test]
async fn an_answer_is_sent_whole_a_piece_at_a_time() {
    let bytes = 3 * SNAPSHOT_PIECE_BYTES + 5;
    let mut leaving = Leaving::new(Box::new(Many(bytes)));
    let mut sent = 0;
    while let Some(frame) = leaving.frame().await {
        let piece = frame.expect("more of it").into_data().expect("more of it");
        assert!(piece.len() <= SNAPSHOT_PIECE_BYTES);
        sent += piece.len();
    }
    assert_eq!(sent, bytes);
}

#[tokio::test]
async fn a_client_that_takes_an_answer_too_slowly_gets_no_more_of_it() {
    let mut leaving = Leaving::new(Box::new(Many(usize::MAX)));
    for _ in 0..10 {
        leaving.frame().await.expect("more of it").expect("more of it");
    }
    // Ten pieces are worth ten seconds, and a minute is free.
    leaving.began = Instant::now() - Duration::from_secs(69);
    assert!(leaving.frame().await.expect("more of it").is_ok());
    leaving.began = Instant::now() - Duration::from_secs(72);
    assert!(leaving.frame().await.expect("more of it").is_err());
}
