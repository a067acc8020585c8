//! What is counted about connections and answers.

use std::sync::Arc;

use bulkhead_model::metrics::{Counter, Gauge, Sheet};
use bulkhead_model::seam::metrics::Measured;
use hyper::StatusCode;

/// Connections and answers of all listeners.
#[derive(Default)]
pub struct HttpFigures {
    connections: Gauge,
    pub(crate) refused: Counter,
    /// By the first digit of the status, from 1.
    answers: [Counter; 5],
}

impl HttpFigures {
    /// Counts an answer.
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100);
        if let Some(counter) = class.checked_sub(1).and_then(|place| self.answers.get(place)) {
            counter.add_one();
        }
    }

    /// Counts a connection for as long as it lasts.
    pub(crate) fn connected(self: &Arc<Self>) -> Connected {
        self.connections.up();
        Connected(Arc::clone(self))
    }
}

/// A connection that is counted.
pub(crate) struct Connected(Arc<HttpFigures>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.down();
    }
}

impl Measured for HttpFigures {
    fn tell(&self, sheet: &mut Sheet) {
        let open = "Connections of clients.";
        sheet.gauge("bulkhead.http.connections", open, &[], self.connections.read() as f64);
        let refused = "Connections that were closed at once, as their client had too many.";
        sheet.counter("bulkhead.http.refused_connections", refused, &[], self.refused.read() as f64);
        for (counter, class) in self.answers.iter().zip(["1xx", "2xx", "3xx", "4xx", "5xx"]) {
            let help = "Answers, by the class of their status.";
            sheet.counter("bulkhead.http.answers", help, &[("status", class)], counter.read() as f64);
        }
    }
}
