//! Append-only files: commands as RESP arrays of bulk strings (<https://redis.io/docs/latest/develop/reference/protocol-spec/>), and
//! lines of annotation that begin with `#`.

use std::io::{self, BufRead, BufReader, Read};

/// Reads to the end, and counts the commands. The last one may be cut off: the file was being written.
pub(super) fn scan(from: impl Read) -> io::Result<Result<usize, String>> {
    let mut from = BufReader::new(from);
    let mut commands = 0;
    loop {
        match command(&mut from)? {
            Found::Command => commands += 1,
            Found::Note => {}
            Found::End => return Ok(Ok(commands)),
            Found::Nonsense => return Ok(Err(format!("no command after {commands} commands"))),
        }
    }
}

enum Found {
    Command,
    Note,
    End,
    Nonsense,
}

fn command(from: &mut impl BufRead) -> io::Result<Found> {
    let Some(line) = line(from)? else { return Ok(Found::End) };
    if line.starts_with('#') {
        return Ok(Found::Note);
    }
    let Some(words) = line.strip_prefix('*').and_then(|count| count.parse::<u32>().ok()) else {
        return Ok(Found::Nonsense);
    };
    for _ in 0..words {
        let Some(line) = self::line(from)? else { return Ok(Found::End) };
        let Some(length) = line.strip_prefix('$').and_then(|length| length.parse::<u64>().ok()) else {
            return Ok(Found::Nonsense);
        };
        if io::copy(&mut from.take(length), &mut io::sink())? < length {
            return Ok(Found::End);
        }
        match self::line(from)? {
            None => return Ok(Found::End),
            Some(rest) if rest.is_empty() => {}
            Some(_) => return Ok(Found::Nonsense),
        }
    }
    Ok(Found::Command)
}

// None: the end, perhaps within a line. No line of this format is long.
fn line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    from.take(1024).read_until(b'\n', &mut line)?;
    let whole = line.ends_with(b"\r\n");
    if !whole && (line.len() == 1024 || line.ends_with(b"\n")) {
        return Ok(Some("no line of this format".into()));
    }
    line.truncate(line.len().saturating_sub(2));
    Ok(whole.then(|| String::from_utf8_lossy(&line).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::scan;

    const TWO: &str =
        "#TS:1700000000\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n\r\n\r\n";

    #[test]
    fn commands_are_counted_whatever_their_values_hold() {
        assert_eq!(scan(TWO.as_bytes()).unwrap(), Ok(2));
    }

    #[test]
    fn only_the_last_command_may_be_cut_off() {
        assert_eq!(scan(&TWO.as_bytes()[..TWO.len() - 1]).unwrap(), Ok(1));
        assert!(scan(TWO.replace("$1\r\na", "$2\r\na").as_bytes()).unwrap().is_err());
    }
}
