//! One part of a set as a blocking stream: counted, hashed, sealed or opened on the way.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use age::{
    Decryptor, Encryptor,
    stream::{StreamReader, StreamWriter},
};

use crate::{
    digest::{Extent, Tally},
    keys::{Keys, Seal},
    manifest::{Part, PartKind},
};

type Sink = Tally<BufWriter<File>>;

/// Writes a part.
pub(crate) struct PartWriter {
    name: String,
    kind: PartKind,
    layer: Tally<Layer>,
}

enum Layer {
    Clear(Sink),
    Sealed(Box<StreamWriter<Sink>>),
}

impl PartWriter {
    /// Makes the file; `name` gains `.age` where it is sealed.
    pub(crate) fn create(dir: &Path, name: &str, kind: PartKind, seal: &Seal) -> io::Result<Self> {
        let sealed = !seal.0.is_empty();
        let name = if sealed { format!("{name}.age") } else { name.to_owned() };
        let sink = Tally::new(BufWriter::with_capacity(1 << 18, File::create_new(dir.join(&name))?));
        let layer = if sealed {
            let recipients = seal.0.iter().map(|recipient| recipient as &dyn age::Recipient);
            let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
            Layer::Sealed(Box::new(encryptor.wrap_output(sink)?))
        } else {
            Layer::Clear(sink)
        };
        Ok(Self { name, kind, layer: Tally::new(layer) })
    }

    /// Completes the file and makes it durable.
    pub(crate) fn finish(self) -> io::Result<Part> {
        let (mut plain, layer) = self.layer.finish();
        let sink = match layer {
            Layer::Clear(sink) => sink,
            Layer::Sealed(stream) => {
                plain.sha256 = None;
                stream.finish()?
            }
        };
        let (stored, file) = sink.finish();
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(Part { name: self.name, kind: self.kind, plain, stored, segments: None })
    }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.layer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.layer.flush()
    }
}

impl Write for Layer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(sink) => sink.write(bytes),
            Self::Sealed(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(sink) => sink.flush(),
            Self::Sealed(stream) => stream.flush(),
        }
    }
}

/// Reads a part's content; at its end it fails unless the content is what the manifest says.
pub(crate) struct PartReader {
    /// The part's name.
    pub(crate) name: String,
    expected: Extent,
    layer: Tally<Opened>,
}

enum Opened {
    Clear(BufReader<File>),
    Sealed(Box<StreamReader<BufReader<File>>>),
}

impl PartReader {
    /// Opens the file, with a key where it is sealed.
    pub(crate) fn open(dir: &Path, part: &Part, sealed: bool, keys: &Keys) -> io::Result<Self> {
        let file = BufReader::with_capacity(1 << 18, File::open(dir.join(&part.name))?);
        let layer = if sealed {
            let wrong = |why: age::DecryptError| io::Error::new(io::ErrorKind::InvalidData, why);
            let identities = keys.0.iter().map(|key| key as &dyn age::Identity);
            let decryptor = Decryptor::new_buffered(file).map_err(wrong)?;
            Opened::Sealed(Box::new(decryptor.decrypt(identities).map_err(wrong)?))
        } else {
            Opened::Clear(file)
        };
        Ok(Self { name: part.name.clone(), expected: part.plain.clone(), layer: Tally::new(layer) })
    }

    fn end(&self) -> io::Result<()> {
        let found = self.layer.extent();
        let same = found.bytes == self.expected.bytes
            && self.expected.sha256.as_ref().is_none_or(|digest| found.sha256.as_ref() == Some(digest));
        let differs =
            || io::Error::new(io::ErrorKind::InvalidData, "not the content that the manifest names");
        if same { Ok(()) } else { Err(differs()) }
    }
}

impl Read for PartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.layer.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            self.end()?;
        }
        Ok(read)
    }
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(file) => file.read(buffer),
            Self::Sealed(stream) => stream.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read, Write},
    };

    use age::x25519::Identity;

    use super::{PartReader, PartWriter};
    use crate::{
        keys::{Keys, Seal},
        manifest::PartKind,
    };

    fn read(mut reader: PartReader) -> std::io::Result<String> {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn a_sealed_part_opens_for_its_recipient_only_and_hides_its_content() {
        let (dir, ours) = (tempfile::tempdir().unwrap(), Identity::generate());
        let seal = Seal(vec![ours.to_public()]);
        let mut writer = PartWriter::create(dir.path(), "objects.yaml", PartKind::Yaml, &seal).unwrap();
        writer.write_all(b"password: hunter2").unwrap();
        let part = writer.finish().unwrap();
        assert_eq!((part.name.as_str(), part.plain.sha256.as_deref()), ("objects.yaml.age", None));
        let stored = fs::read(dir.path().join(&part.name)).unwrap();
        assert!(!stored.windows(7).any(|window| window == b"hunter2"));
        let open = |keys| PartReader::open(dir.path(), &part, true, &keys);
        assert_eq!(read(open(Keys(vec![ours])).unwrap()).unwrap(), "password: hunter2");
        assert!(open(Keys(vec![Identity::generate()])).is_err());
    }

    #[test]
    fn a_part_that_changed_since_it_was_verified_fails_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = PartWriter::create(dir.path(), "dump", PartKind::Dump, &Seal::none()).unwrap();
        writer.write_all(b"content").unwrap();
        let part = writer.finish().unwrap();
        let open = || PartReader::open(dir.path(), &part, false, &Keys::none()).unwrap();
        assert_eq!(read(open()).unwrap(), "content");
        fs::write(dir.path().join("dump"), "Content").unwrap();
        assert!(read(open()).is_err());
    }
}
