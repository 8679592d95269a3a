use super::*;
use std::io::{Read, pipe};
use std::sync::mpsc;

/// Writes what it is allowed to.
struct Gate {
    open: mpsc::Receiver<()>,
    written: mpsc::Sender<Vec<u8>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // After the test's end everything may pass.
        let _ended = self.open.recv();
        let _ended = self.written.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_takes_nothing_makes_nobody_wait_and_what_was_lost_is_counted() {
    let ((key, open), (written, output)) = (mpsc::channel(), mpsc::channel());
    let mut lines = Lines::start(Gate { open, written }, LogFormat::Json).expect("a thread");
    // One is in the writer's hands or waits like the others.
    let surplus = 10;
    for number in 0..LINES_MAX + 1 + surplus {
        lines.write_all(format!("{number}\n").as_bytes()).expect("never fails");
    }
    drop(key);
    drop(lines);
    let text: Vec<u8> = output.iter().flatten().collect();
    let text = String::from_utf8(text).expect("text");
    let (mut kept, mut lost) = (Vec::new(), 0);
    for line in text.lines() {
        match line.strip_prefix(r#"{"level":"WARN","message":"log lines dropped, nobody read them","count":"#)
        {
            Some(count) => lost += count.trim_end_matches('}').parse::<usize>().expect("a number"),
            None => kept.push(line.parse::<usize>().expect("a line of ours")),
        }
    }
    assert!(kept.is_sorted() && kept[..3] == [0, 1, 2], "in order, the oldest are kept");
    assert!(lost >= surplus, "{lost}");
    assert_eq!(kept.len() + lost, LINES_MAX + 1 + surplus);
}

#[test]
fn a_flush_waits_for_the_lines_before_it() {
    let (mut reader, writer) = pipe().expect("a pipe");
    let mut lines = Lines::start(writer, LogFormat::Text).expect("a thread");
    lines.write_all(b"last words\n").expect("never fails");
    drop(Flush::new(Some(lines.clone())));
    let mut read = [0; 64];
    let length = reader.read(&mut read).expect("they are there");
    assert_eq!(&read[..length], b"last words\n");
}
