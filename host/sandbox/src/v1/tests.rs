//! Host functions that can be tested without a guest.

use std::sync::Arc;
use std::sync::mpsc::channel;

use tokio::sync::Semaphore;

use super::digest::hash_aside;
use super::system::Line;
use crate::limits::{LOG_FIELDS_MAX, LOG_LINE_BYTES_MAX};

#[test]
fn a_log_line_has_a_bounded_number_of_bytes_and_fields() {
    let fields = vec![("n".repeat(100), "\u{202e}".repeat(100)); 100];
    let line = Line::new(&"m".repeat(3_000), &fields);
    assert_eq!(line.fields.len(), LOG_FIELDS_MAX);
    let bytes: usize = line.message.len() + line.fields.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>();
    assert!(bytes <= LOG_LINE_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn text_in_other_scripts_stays_as_it_is() {
    let line = Line::new("Grüße, 世界", &[]);
    assert_eq!(line.message, "Grüße, 世界");
}

#[tokio::test]
async fn a_password_waits_for_its_place() {
    let places = Arc::new(Semaphore::new(1));
    let taken = places.acquire().await.unwrap();
    let hashing = tokio::spawn({
        let places = Arc::clone(&places);
        async move { hash_aside(&places, || Ok("hash")).await }
    });
    tokio::task::yield_now().await;
    assert!(!hashing.is_finished());
    drop(taken);
    assert_eq!(hashing.await.unwrap().unwrap(), Ok("hash"));
}

#[tokio::test]
async fn work_left_behind_by_a_call_keeps_its_place_until_it_is_done() {
    let places = Arc::new(Semaphore::new(1));
    let (begun, begins) = channel();
    let (finish, finishes) = channel::<()>();
    let call = tokio::spawn({
        let places = Arc::clone(&places);
        async move {
            let work = move || {
                begun.send(()).unwrap();
                finishes.recv().unwrap();
                Ok(())
            };
            hash_aside(&places, work).await.unwrap()
        }
    });
    tokio::task::yield_now().await;
    begins.recv().unwrap();
    call.abort();
    assert!(call.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(places.available_permits(), 0, "the place was given back before the work was done");
    finish.send(()).unwrap();
    drop(places.acquire().await.unwrap());
}
