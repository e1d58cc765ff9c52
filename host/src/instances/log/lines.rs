use super::entry::Stream;
use super::writer::LogWriter;

/// Longest part of a line that is kept in memory: docker's size, too.
const MAX_LINE_BYTES: usize = 16 << 10;

/// Cuts what a stream says into lines.
#[derive(Debug)]
pub struct Lines {
    stream: Stream,
    /// A line whose end has not come yet.
    begun: Vec<u8>,
}

impl Lines {
    /// Those of one stream.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            begun: Vec::new(),
        }
    }

    /// Logs the lines that end in `bytes`.
    pub fn push(&mut self, bytes: &[u8], log: &mut LogWriter) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut part = part;
            while self.begun.len() + part.len() > MAX_LINE_BYTES {
                let (fits, rest) = part.split_at(MAX_LINE_BYTES - self.begun.len());
                self.begun.extend_from_slice(fits);
                part = rest;
                self.flush(log);
            }
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.flush(log);
            }
        }
        log.write_out();
    }

    /// Logs what was said without the end of a line: no more will come.
    pub fn finish(&mut self, log: &mut LogWriter) {
        if !self.begun.is_empty() {
            self.flush(log);
        }
        log.write_out();
    }

    fn flush(&mut self, log: &mut LogWriter) {
        log.append(self.stream, &self.begun);
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::LogReader;
    use super::*;

    fn logged(chunks: &[Vec<u8>]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::create(dir.path()).unwrap();
        let mut lines = Lines::new(Stream::Stdout);
        for chunk in chunks {
            lines.push(chunk, &mut log);
        }
        lines.finish(&mut log);
        let mut reader = LogReader::open(dir.path()).unwrap().unwrap();
        let mut said = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            said.push(entry.log.into_owned());
        }
        said
    }

    #[test]
    fn a_line_is_logged_when_its_end_comes() {
        let chunks = [&b"a\nb"[..], b"c\n\n", b"d"].map(<[u8]>::to_vec);
        assert_eq!(logged(&chunks), ["a\n", "bc\n", "\n", "d"]);
    }

    #[test]
    fn a_line_without_end_is_logged_in_parts() {
        let long = vec![b'x'; 2 * MAX_LINE_BYTES + 1];
        let lengths: Vec<_> = logged(&[long]).iter().map(String::len).collect();
        assert_eq!(lengths, [MAX_LINE_BYTES, MAX_LINE_BYTES, 1]);
    }

    #[test]
    fn what_is_not_text_is_shown_as_such() {
        assert_eq!(logged(&[b"\xff\"\0\n".to_vec()]), ["\u{fffd}\"\0\n"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn nothing_is_lost_however_it_is_cut(chunks in prop::collection::vec("[ab\n]{0,40}", 0..20)) {
            let bytes: Vec<_> = chunks.iter().map(|chunk| chunk.clone().into_bytes()).collect();
            prop_assert_eq!(logged(&bytes).concat(), chunks.concat());
        }
    }
}
