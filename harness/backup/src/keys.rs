//! Whom a set is sealed to, and who can open it: age's X25519 keys (<https://age-encryption.org/v1>).

use std::{fmt, fs, path::Path};

use age::x25519::{Identity, Recipient};

use crate::{digest, error::Error};

/// The recipients that a set is sealed to; none: it is written in the clear.
#[derive(Clone, Default)]
pub struct Seal(pub(crate) Vec<Recipient>);

/// The identities that open sealed sets.
#[derive(Clone, Default)]
pub struct Keys(pub(crate) Vec<Identity>);

impl Seal {
    /// Written in the clear.
    pub fn none() -> Self {
        Self::default()
    }

    /// Sealed to these recipients (`age1...`), each of whom can open it alone.
    pub fn to<'a>(recipients: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let parse = |text: &str| {
            let wrong = |why| Error::at(text, why, "write a recipient as `age-keygen -y` prints it: age1...");
            text.trim().parse::<Recipient>().map_err(wrong)
        };
        recipients.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// SHA-256 of each recipient's text.
    pub fn fingerprints(&self) -> Vec<String> {
        self.0.iter().map(fingerprint).collect()
    }
}

impl Keys {
    /// Nobody's: opens only what is not sealed.
    pub fn none() -> Self {
        Self::default()
    }

    /// A new identity, and the seal that it alone opens. It is kept nowhere: what is sealed so ends with who asked for it.
    pub fn generate() -> (Seal, Self) {
        let identity = Identity::generate();
        (Seal(vec![identity.to_public()]), Self(vec![identity]))
    }

    /// An identity file as `age-keygen` writes it.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|error| Error::file(path, &error))?;
        Self::parse(&text).ok_or_else(|| {
            Error::at(path.display(), "no age identity", "name a file with a line AGE-SECRET-KEY-1...")
        })
    }

    /// The text of such a file. None: it holds none, or another thing. What is wrong is not shown: it may be a secret.
    pub fn parse(text: &str) -> Option<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Vec<Identity> = lines.map(|line| line.parse().ok()).collect::<Option<_>>()?;
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// SHA-256 of each one's recipient.
    pub fn fingerprints(&self) -> Vec<String> {
        self.0.iter().map(|key| fingerprint(&key.to_public())).collect()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.fingerprints()).finish()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Seal").field(&self.fingerprints()).finish()
    }
}

fn fingerprint(recipient: &Recipient) -> String {
    digest::of(recipient.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use age::{secrecy::ExposeSecret, x25519::Identity};

    use super::{Keys, Seal};

    #[test]
    fn a_key_and_its_recipient_have_one_fingerprint() {
        let identity = Identity::generate();
        let file = format!("# created by hand\n{}\n", identity.to_string().expose_secret());
        let keys = Keys::parse(&file).unwrap();
        let seal = Seal::to([identity.to_public().to_string().as_str()]).unwrap();
        assert_eq!(keys.fingerprints(), seal.fingerprints());
        assert!(!format!("{keys:?}").contains("SECRET"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        assert!(Keys::parse("hunter2").is_none() && Keys::parse("# nothing\n").is_none());
        assert!(Seal::to(["age1nonsense"]).unwrap_err().to_string().contains("age-keygen"));
    }
}
