//! Reads a stream piece by piece, with bounded memory.

use std::io::{self, Read};

use super::needles::{Hit, LONGEST_BYTES, Needles};

/// Size of a piece, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// A key, and where in its stream.
pub struct StreamHit {
    /// The key. Its positions are those in a piece, and mean nothing here.
    pub hit: Hit,
    /// Line, from 1.
    pub line: u64,
    /// Column in bytes, from 1.
    pub column: u64,
}

/// Reads streams one after the other, with one buffer for all of them.
pub struct Scanner<'a> {
    needles: &'a Needles,
    buffer: Vec<u8>,
}

/// Line and column of a position in a stream.
struct Position {
    line: u64,
    column: u64,
}

impl Position {
    /// Moves over a text.
    fn advance(&mut self, text: &[u8]) {
        let lines = memchr::memchr_iter(b'\n', text).count();
        match memchr::memrchr(b'\n', text) {
            Some(last) => {
                self.line = self.line.saturating_add(u64::try_from(lines).unwrap_or(u64::MAX));
                self.column = u64::try_from(text.len().saturating_sub(last)).unwrap_or(u64::MAX);
            }
            None => self.column = self.column.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX)),
        }
    }
}

impl<'a> Scanner<'a> {
    /// Creates a scanner.
    #[must_use]
    pub fn new(needles: &'a Needles) -> Self {
        Self { needles, buffer: vec![0; PIECE_BYTES] }
    }

    /// Reads a stream to its end and reports each key.
    ///
    /// # Errors
    /// The error of the stream. What was found before it was reported.
    pub fn scan(&mut self, mut stream: impl Read, mut report: impl FnMut(StreamHit)) -> io::Result<()> {
        let mut position = Position { line: 1, column: 1 };
        let mut filled = 0;
        loop {
            let free = self.buffer.get_mut(filled..).unwrap_or_default();
            let count = read_some(&mut stream, free)?;
            filled = filled.saturating_add(count);
            let text = self.buffer.get(..filled).unwrap_or_default();
            // A key that begins in the last bytes may not be complete yet: they are searched with the next piece.
            let limit = if count == 0 { filled } else { filled.saturating_sub(LONGEST_BYTES) };
            let mut done = 0;
            for hit in self.needles.find(text, limit) {
                position.advance(text.get(done..hit.start).unwrap_or_default());
                let (line, column) = (position.line, position.column);
                position.advance(text.get(hit.start..hit.end).unwrap_or_default());
                done = hit.end;
                report(StreamHit { hit, line, column });
            }
            if count == 0 {
                return Ok(());
            }
            let next = limit.max(done);
            position.advance(text.get(done..next).unwrap_or_default());
            self.buffer.copy_within(next..filled, 0);
            filled = filled.saturating_sub(next);
        }
    }
}

fn read_some(stream: &mut impl Read, free: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(free) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_key::id::Prefix;

    const KEY: &str = "wafl_live_8Fh2kQ0sZp1L_mavzfVABqZ5YsOOlB1f46RfHk7hp3ILTp46QPr1i0kUC0g";

    /// A stream that gives few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, free: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(free.len());
            free[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn places(text: &[u8], at_once: usize) -> Vec<(u64, u64)> {
        let needles = Needles::new(&[Prefix::parse("wafl").unwrap()]).unwrap();
        let mut places = Vec::new();
        Scanner::new(&needles).scan(Slow(text, at_once), |hit| places.push((hit.line, hit.column))).unwrap();
        places
    }

    #[test]
    fn a_key_across_any_pieces_is_found_once_with_its_line_and_column() {
        let text = format!("one\ntwo {KEY}{KEY}\n\nfive: {KEY}");
        for at_once in [1, 7, 64, 1000] {
            assert_eq!(places(text.as_bytes(), at_once), [(2, 5), (2, 74), (4, 7)], "{at_once}");
        }
    }

    #[test]
    fn a_key_at_every_position_around_the_end_of_a_piece_is_found() {
        for before in (PIECE_BYTES - 200)..(PIECE_BYTES + 10) {
            let text = [vec![b'.'; before], KEY.as_bytes().to_vec(), vec![b'.'; 300]].concat();
            assert_eq!(places(&text, usize::MAX), [(1, u64::try_from(before).unwrap() + 1)], "{before}");
        }
    }
}
