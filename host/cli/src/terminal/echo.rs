//! Switching a terminal's echo off while a secret is typed. Unsafe, because termios is
//! only reachable through libc here: the two calls take a pointer to a plain struct.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;

/// Echo is off while this lives, and as it was before once it is dropped.
pub(super) struct Off {
    before: libc::termios,
}

impl Off {
    /// Switches echo off on stdin.
    pub(super) fn new() -> io::Result<Self> {
        let mut found = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the pointer is to a termios that lives through the call, which fills it.
        if unsafe { libc::tcgetattr(libc::STDIN_FILENO, found.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above succeeded, so it filled the struct.
        let before = unsafe { found.assume_init() };
        let mut silent = before;
        // Keys come one by one and an interrupt is a key: see who reads them.
        silent.c_lflag &= !(libc::ECHO | libc::ICANON | libc::ISIG);
        silent.c_cc[libc::VMIN] = 1;
        silent.c_cc[libc::VTIME] = 0;
        set(&silent)?;
        Ok(Self { before })
    }
}

impl Drop for Off {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone away.
        let _ = set(&self.before);
    }
}

fn set(attributes: &libc::termios) -> io::Result<()> {
    // SAFETY: the pointer is to a termios that lives through the call, which only reads it.
    if unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, attributes) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
