//! RESP2, the protocol: commands written, replies read.

/// Longest text in a reply, in bytes, and most items of a list. Why: a server has 10,000 sessions unless it is told
/// otherwise, and a list of them has a line of 400 bytes for each.
const LENGTH_MAX: usize = 6 * 1024 * 1024;
const ITEMS_MAX: usize = 16_384;

/// How deep lists may stand in one another.
const DEPTH_MAX: usize = 4;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A text, or a state such as `OK`.
    Text(Vec<u8>),
    /// A refusal.
    Refusal(String),
    Number(i64),
    Null,
    List(Vec<Reply>),
}

/// What is read is not in the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A command with its arguments, whatever bytes they have.
pub(crate) fn command(words: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The reply that some bytes begin with, and its length; none if it is not there as a whole.
///
/// # Errors
/// It is none.
pub(crate) fn reply(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
    let mut reader = Reader { bytes, at: 0 };
    Ok(reader.reply(0)?.map(|reply| (reply, reader.at)))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn reply(&mut self, depth: usize) -> Result<Option<Reply>, Malformed> {
        let Some(line) = self.line()? else { return Ok(None) };
        let (kind, rest) = line.split_first().ok_or(Malformed)?;
        match kind {
            b'+' => Ok(Some(Reply::Text(rest.to_vec()))),
            b'-' => Ok(Some(Reply::Refusal(String::from_utf8_lossy(rest).into_owned()))),
            b':' => number(rest).map(Reply::Number).map(Some),
            b'$' => self.text(number(rest)?),
            b'*' => self.list(number(rest)?, depth),
            _ => Err(Malformed),
        }
    }

    /// The bytes to the next line end.
    fn line(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        let rest = &self.bytes[self.at..];
        match rest.windows(2).position(|pair| pair == b"\r\n") {
            Some(length) => {
                self.at += length + 2;
                Ok(Some(&rest[..length]))
            }
            None if rest.len() > LENGTH_MAX => Err(Malformed),
            None => Ok(None),
        }
    }

    fn text(&mut self, length: i64) -> Result<Option<Reply>, Malformed> {
        if length == -1 {
            return Ok(Some(Reply::Null));
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= LENGTH_MAX).ok_or(Malformed)?;
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.get(length..length + 2) else { return Ok(None) };
        if end != b"\r\n" {
            return Err(Malformed);
        }
        self.at += length + 2;
        Ok(Some(Reply::Text(rest[..length].to_vec())))
    }

    fn list(&mut self, length: i64, depth: usize) -> Result<Option<Reply>, Malformed> {
        if length == -1 {
            return Ok(Some(Reply::Null));
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= ITEMS_MAX).ok_or(Malformed)?;
        if depth == DEPTH_MAX {
            return Err(Malformed);
        }
        let mut items = Vec::new();
        for _ in 0..length {
            match self.reply(depth + 1)? {
                Some(item) => items.push(item),
                None => return Ok(None),
            }
        }
        Ok(Some(Reply::List(items)))
    }
}

fn number(text: &[u8]) -> Result<i64, Malformed> {
    core::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_sent_with_their_lengths() {
        assert_eq!(command(&["ACL", "a\r\nb", "ü"]), "*3\r\n$3\r\nACL\r\n$4\r\na\r\nb\r\n$2\r\nü\r\n".as_bytes());
    }

    #[test]
    fn a_reply_is_read_once_it_is_there_as_a_whole() {
        let text = |text: &str| Reply::Text(text.as_bytes().to_vec());
        for (bytes, expected) in [
            ("+OK\r\n", text("OK")),
            ("-ERR no\r\n", Reply::Refusal("ERR no".to_owned())),
            (":-7\r\n", Reply::Number(-7)),
            ("$4\r\na\r\nb\r\n", text("a\r\nb")),
            ("$-1\r\n", Reply::Null),
            ("*-1\r\n", Reply::Null),
            ("*2\r\n$0\r\n\r\n*1\r\n:1\r\n", Reply::List(vec![text(""), Reply::List(vec![Reply::Number(1)])])),
        ] {
            let more = format!("{bytes}+next\r\n");
            assert_eq!(reply(more.as_bytes()), Ok(Some((expected, bytes.len()))));
            for cut in 0..bytes.len() {
                assert_eq!(reply(&bytes.as_bytes()[..cut]), Ok(None), "{cut} bytes of {bytes:?}");
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in [
            "HTTP/1.1 400\r\n",
            "\r\n",
            "$x\r\n",
            "$-2\r\n",
            "$1\r\nabc\r\n",
            "$999999999999\r\n",
            "*99999999\r\n",
            ":\r\n",
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        ] {
            assert_eq!(reply(bytes.as_bytes()), Err(Malformed), "{bytes:?}");
        }
    }
}
