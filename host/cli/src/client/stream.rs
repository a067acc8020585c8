//! What is too large to be held: answers written as they come, files sent as they are read.

use std::fs::File;
use std::io::{Seek, Write};

use super::{Call, Client, ClientError};

impl Client {
    /// Sends a call whose answer is too large to be held, and writes it as it comes. Nothing is
    /// written of a refusal.
    ///
    /// # Errors
    /// As [`Client::send`]; what was written then is no whole answer.
    pub(crate) fn download(&self, call: &Call<'_>, out: &mut dyn Write) -> Result<(), ClientError> {
        self.follow(call, |base, target, outgoing| self.exchange.download(base, target, outgoing, out)).map(drop)
    }

    /// Sends a call with a file for its body.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub(crate) fn upload(&self, call: &Call<'_>, file: &File) -> Result<(), ClientError> {
        self.follow(call, |base, target, outgoing| {
            let unread = |error| ClientError::Settings(format!("the file cannot be read: {error}"));
            let mut file = file.try_clone().map_err(unread)?;
            file.rewind().map_err(unread)?;
            self.exchange.upload(base, target, outgoing, file)
        })
        .map(drop)
    }
}
