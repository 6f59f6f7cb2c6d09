//! YAML that knows where everything stands: a tree with places, typed reading of it, and mistakes that name place,
//! reason and mend.

mod book;
mod mistake;
mod node;
mod places;
mod read;
mod tree;
mod wrong;

pub use book::Book;
pub use mistake::{Mistake, closest, one_of};
pub use node::{Entry, Node, Place, Value};
pub use places::Places;
pub use read::{format, read};
pub use tree::{LIMIT, tree};
