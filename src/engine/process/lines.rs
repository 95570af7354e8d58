//! What a child says, line by line as it says it: of bounded length, and harmless for whoever shows it.

/// A longer line is cut, in bytes.
pub(super) const LONGEST: usize = 1000;

/// Takes one line, without its end and without control characters.
pub(super) type Listener = Box<dyn FnMut(String) + Send>;

/// Cuts a stream into lines. What has no end yet when it is dropped is a line too.
pub(super) struct Lines {
    listener: Listener,
    line: Vec<u8>,
    cut: bool,
}

impl Lines {
    pub(super) fn new(listener: Listener) -> Self {
        Self { listener, line: Vec::new(), cut: false }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        for byte in piece {
            match byte {
                // What draws a progress bar returns the carriage only.
                b'\n' | b'\r' => self.end(),
                _ if self.line.len() < LONGEST => self.line.push(*byte),
                _ => self.cut = true,
            }
        }
    }

    fn end(&mut self) {
        let mut text = clean(&String::from_utf8_lossy(&self.line));
        if std::mem::take(&mut self.cut) {
            text.push('…');
        }
        self.line.clear();
        if !text.is_empty() {
            (self.listener)(text);
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end();
    }
}

/// A line without control characters, and without blanks around it.
pub(super) fn clean(line: &str) -> String {
    let harmless: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
    harmless.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn lines_are_told_whole_clean_and_bounded_however_they_arrive() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&told);
        let mut lines = Lines::new(Box::new(move |line| into.lock().unwrap().push(line)));
        for piece in ["on", "e\n\n\u{1b}[2J tw", "o\r10%\r20%\r\n", &"x".repeat(3 * LONGEST), "\nlast"] {
            lines.push(piece.as_bytes());
        }
        drop(lines);
        let long = format!("{}…", "x".repeat(LONGEST));
        assert_eq!(*told.lock().unwrap(), ["one", "[2J two", "10%", "20%", &long, "last"]);
    }
}
