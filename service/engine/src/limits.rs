//! What the engine refuses, so that one request cannot take a machine.

/// Most nodes of a model.
pub const MAX_NODES: usize = 100;
/// Most edges of a model.
pub const MAX_EDGES: usize = 2_000;
/// Most characters of a node's name.
pub const MAX_NAME_CHARS: usize = 64;
/// Largest magnitude of any number in a model or a query.
pub const MAX_MAGNITUDE: f64 = 1e9;
/// Fewest samples per arm: below two there is no spread to estimate.
pub const MIN_SAMPLES: u64 = 2;
/// Most samples per arm.
pub const MAX_SAMPLES: u64 = 1_000_000;
/// Most draws per arm: samples times all nodes of the model.
pub const MAX_DRAWS: u64 = 20_000_000;
