//! The book of mistakes: all that are found in one reading, in the order of the file.

use super::{Mistake, Places};

/// Collects mistakes and gives each its place.
#[derive(Debug)]
pub struct Book<'a> {
    places: &'a Places,
    mistakes: Vec<Mistake>,
}

impl<'a> Book<'a> {
    /// An empty book for a file.
    pub fn new(places: &'a Places) -> Self {
        Self { places, mistakes: Vec::new() }
    }

    /// Notes a mistake; the same one is noted once.
    pub fn say(&mut self, mistake: Mistake) {
        let mistake = self.places.locate(mistake);
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    /// The value, or the mistake noted under a path.
    pub fn keep<T>(&mut self, path: &str, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.say(mistake.under(path))).ok()
    }

    /// All mistakes, in the order of the file; none is success.
    pub fn close(mut self) -> Result<(), Vec<Mistake>> {
        self.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        if self.mistakes.is_empty() { Ok(()) } else { Err(self.mistakes) }
    }
}

#[cfg(test)]
mod tests {
    use super::Book;
    use crate::yaml::{Mistake, Places, tree};

    #[test]
    fn mistakes_come_in_the_order_of_the_file_and_once() {
        let places = Places::of(&tree(b"a: 1\nb: 2\n").unwrap());
        let mut book = Book::new(&places);
        book.say(Mistake::at("b", "second"));
        book.say(Mistake::at("a", "first"));
        book.say(Mistake::at("b", "second"));
        let lines: Vec<u32> = book.close().unwrap_err().iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [1, 2]);
    }
}
